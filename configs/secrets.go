package configs

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// Sizes of the desk's key, in bytes.
const (
	keySize   = 32      // of one that MakeKey makes, and the least that is taken
	maxSecret = 8 << 10 // of a file with a secret
)

// MissingKey says that the key file is not there. With no database yet it can
// be made by MakeKey; beside a database it has been lost, and a new one would
// make every signature and the event chain worthless.
type MissingKey struct {
	Path string
}

// Error names the file.
func (e *MissingKey) Error() string {
	return fmt.Sprintf("the key file %s does not exist; bring it back from the backup", e.Path)
}

// Is makes it match fs.ErrNotExist.
func (e *MissingKey) Is(target error) bool { return target == fs.ErrNotExist }

// MakeKey writes a new random key into a file that does not exist yet, readable
// by its owner alone, and returns the key. The file is on disk on return.
func MakeKey(path string) ([]byte, error) {
	key := make([]byte, keySize)
	rand.Read(key) // never fails: crypto/rand ends the program instead
	if err := writeKey(path, key); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return key, nil
}

func writeKey(path string, key []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(path)) // half a key is worse than none
		}
	}()
	if _, err := f.WriteString(hex.EncodeToString(key) + "\n"); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the name of a new file durable. Not every system can.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && runtime.GOOS != "windows" {
		return errors.Join(err, d.Close())
	}
	return d.Close()
}

// decodeKey reads a key as MakeKey writes it (hex), or base64 as other tools
// do. Its errors never show the text.
func decodeKey(text string) ([]byte, error) {
	key, err := hex.DecodeString(text)
	if err != nil {
		key, err = base64.StdEncoding.DecodeString(text)
	}
	if err != nil {
		return nil, errors.New("holds neither hex nor base64; make a key with: openssl rand -hex 32")
	}
	if len(key) < keySize {
		return nil, fmt.Errorf("holds a key of %d bytes, fewer than %d; make one with: openssl rand -hex 32", len(key), keySize)
	}
	return key, nil
}

// readSecret reads a file with one secret, without the line end after it.
func readSecret(path string) (string, error) {
	// Before opening: a named pipe would wait for its writer.
	if info, err := os.Stat(path); err != nil {
		return "", fileError(path, err)
	} else if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no file; name the file that holds the secret", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fileError(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fileError(path, err)
	}
	if err := private(path, info.Mode()); err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return "", fileError(path, err)
	case len(data) > maxSecret:
		return "", fmt.Errorf("%s has more than %d bytes; it should hold the secret alone", path, maxSecret)
	}
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	switch {
	case len(data) == 0:
		return "", fmt.Errorf("%s is empty; write the secret into it", path)
	case bytes.ContainsAny(data, "\x00\r\n"):
		return "", fmt.Errorf("%s has more than one line; it should hold the secret alone", path)
	}
	return string(data), nil
}

// private refuses a file that others than its owner may read or write.
func private(path string, mode fs.FileMode) error {
	if runtime.GOOS == "windows" || mode.Perm()&0o077 == 0 {
		return nil // Windows has no such bits; Go makes them up
	}
	return fmt.Errorf("%s may be read or changed by others (mode %04o); run: chmod 600 %s", path, mode.Perm(), shellQuote(path))
}

// fileError says why a file cannot be read, for people.
func fileError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &fileFault{path + " does not exist; create it, or mend the path", err}
	case errors.Is(err, fs.ErrPermission):
		return &fileFault{path + " may not be read by the user that deskd runs as; give it to that user with chown", err}
	}
	return &fileFault{fmt.Sprintf("read %s: %s", path, bare(err)), err}
}

// fileFault is a text for the person with the cause for the program.
type fileFault struct {
	text  string
	cause error
}

func (e *fileFault) Error() string { return e.text }
func (e *fileFault) Unwrap() error { return e.cause }

// bare takes the operation and the path off an error of package os.
func bare(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// shellQuote makes s one word of a shell command.
func shellQuote(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// environment looks up a variable; it is os.LookupEnv outside tests.
type environment func(name string) (string, bool)

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand puts variables in the place of ${NAME}. Within the user part of a URL
// the value is escaped, since a password may hold any character.
func (env environment) expand(s string) (string, error) {
	var errs []error
	userEnd := -1
	if scheme := strings.Index(s, "://"); scheme >= 0 {
		userEnd = strings.LastIndexByte(s, '@')
	}
	var b strings.Builder
	from := 0
	for _, m := range variable.FindAllStringSubmatchIndex(s, -1) {
		b.WriteString(s[from:m[0]])
		from = m[1]
		value, ok := env(s[m[2]:m[3]])
		if !ok {
			errs = append(errs, unset(s[m[2]:m[3]]))
		}
		if m[0] < userEnd {
			value = strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
		}
		b.WriteString(value)
	}
	b.WriteString(s[from:])
	return b.String(), errors.Join(errs...)
}

func unset(name string) error {
	return fmt.Errorf("the environment variable %s is not set; set it for the daemon (Environment= or EnvironmentFile= in its unit), or take another form", name)
}

// secret reads a setting that has three forms: KEY itself, KEY_file and
// KEY_env. It returns "" with no complaint when none of them is given.
// literal is true when the secret stands in the settings file itself.
func (c *checker) secret(key string, value Secret, file, env string) (secret Secret, literal bool) {
	var given []string
	for _, form := range []string{key, key + "_file", key + "_env"} {
		if c.written(form) {
			given = append(given, form)
		}
	}
	if len(given) > 1 {
		c.addAt(c.under[given[1]], given[1], "stands beside %s; keep one of them", lastKey(given[0]))
		return "", false
	}
	switch {
	case len(given) == 0 || c.about(given[0]):
		return "", false
	case given[0] == key+"_file":
		path, err := c.path(file)
		if err != nil {
			c.fail(given[0], err)
			return "", false
		}
		text, err := readSecret(path)
		if err != nil {
			c.fail(given[0], err)
		}
		return Secret(text), false
	case given[0] == key+"_env":
		return c.fromEnv(given[0], env), false
	}
	if m := variable.FindStringSubmatch(value.Reveal()); m != nil && m[0] == value.Reveal() {
		return c.fromEnv(key, m[1]), false
	}
	return value, value != ""
}

func (c *checker) fromEnv(key, name string) Secret {
	text, ok := c.env(name)
	switch {
	case name == "":
		c.add(key, "empty; name the environment variable that holds the secret")
	case strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != "":
		// Not repeated: it may be the secret itself.
		c.add(key, "is no name of an environment variable; write its name alone, such as DESKD_PASSWORD, and not the secret")
	case !ok && strings.ToUpper(name) != name:
		c.add(key, "names an environment variable that is not set; write its name alone, such as DESKD_PASSWORD, and set it for the daemon")
	case !ok:
		c.fail(key, unset(name))
	case text == "":
		c.add(key, "the environment variable %s is empty; give it the secret", name)
	}
	return Secret(text)
}

// path makes a path of the settings absolute: a relative one begins at the
// folder of the settings file, ${NAME} stands for a variable.
func (c *checker) path(p string) (string, error) {
	if p == "" {
		return "", errors.New("empty; name the file")
	}
	p, err := c.env.expand(p)
	if err != nil || filepath.IsAbs(p) {
		return p, err
	}
	return filepath.Join(c.dir, p), nil
}

// lastKey is the end of a key path.
func lastKey(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }
