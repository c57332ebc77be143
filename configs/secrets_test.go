package configs

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func TestT45_SecretNeverShows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := strings.Repeat("7a", 32)
	s := mustParse(t, minimal+"database: postgres://deskd:${DB}@db.example.org/deskd\nkey_env: KEY\n", dir, environ("DB", canary, "KEY", key))
	if s.Mailboxes[0].Password.Reveal() != canary || !strings.Contains(s.Database.Reveal(), canary) {
		t.Fatal("the canary did not arrive, so this test proves nothing")
	}
	if s.Mailboxes[0].IMAP.Password != "" || s.SMTP.Server.Password != "" {
		t.Error("a password is kept as plain text in the settings")
	}
	var shown bytes.Buffer
	for _, v := range []any{s, *s, s.Mailboxes, s.SMTP, s.Mailboxes[0].Password, &s.Mailboxes[0].Password, []any{s.Database}, map[string]Secret{"x": s.Database}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%!"} {
			fmt.Fprintf(&shown, verb+"\n", v)
		}
		for _, marshal := range []func(any) ([]byte, error){json.Marshal, func(v any) ([]byte, error) { return yaml.Marshal(v) }} {
			if data, err := marshal(v); err == nil { // Settings has a func, which some refuse
				shown.Write(data)
			} else {
				fmt.Fprintln(&shown, err)
			}
		}
		slog.New(slog.NewJSONHandler(&shown, nil)).Info("settings", "v", v)
		slog.New(slog.NewTextHandler(&shown, nil)).Info("settings", "v", v)
	}
	slog.New(slog.NewTextHandler(&shown, nil)).Info("settings", "password", s.Mailboxes[0].Password)
	for _, secret := range []string{canary, hex.EncodeToString([]byte(canary)), key} {
		if i := strings.Index(strings.ToLower(shown.String()), strings.ToLower(secret)); i >= 0 {
			t.Errorf("the secret shows: …%s", shown.Bytes()[max(0, i-200):i+len(secret)])
		}
	}
	if !strings.Contains(shown.String(), "***") {
		t.Error("not even the place of the secret shows")
	}
}

// A slip of the finger anywhere in the file must not bring the password into
// the complaint: these are read on screens and sent in mails.
func TestT45_NoSlipInTheFileBringsThePasswordIntoAComplaint(t *testing.T) {
	t.Parallel()
	env := environ()
	path := filepath.Join(t.TempDir(), "deskd.yaml")
	for i := range len(minimal) + 1 {
		slips := []string{}
		if i < len(minimal) {
			slips = append(slips, minimal[:i]+minimal[i+1:])
		}
		for _, c := range []string{":", ": ", "\"", "'", "{", "[", "]", "\n", "\n- ", "#", "- ", "&", "*", "!", "|", ">", "\t", " ", "%", "@", "? ", ",", "\\", "${"} {
			slips = append(slips, minimal[:i]+c+minimal[i:])
		}
		for _, text := range slips {
			_, err := parse([]byte(text), path, env, nil)
			if err == nil {
				continue
			}
			// The slip may stand within the canary, so one half is enough.
			if got := err.Error(); strings.Contains(got, canary[:6]) || strings.Contains(got, canary[7:]) {
				t.Errorf("the password shows:\n%s\nin the complaint about:\n%s", got, text)
			}
		}
	}
}

func TestT45_SettingsWithAPasswordMustBePrivate(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no such modes there")
	}
	url := strings.Replace(minimal, "password: "+canary, "password_file: pw", 1) + "database: postgres://u:" + canary + "@h/db\n"
	neither := strings.Replace(url, ":"+canary+"@", "@", 1)
	fromEnv := strings.Replace(minimal, "password: "+canary, "password: ${HOME}", 1)
	for _, c := range []struct {
		name, text string
		mode       fs.FileMode
		want       string // beginning of the complaint, after the place
	}{
		{"own file", minimal, 0o600, ""},
		{"read only", minimal, 0o400, ""},
		{"group may read", minimal, 0o640, "mailboxes[0].password: the settings file holds a password, but "},
		{"all may read", minimal, 0o644, "mailboxes[0].password: the settings file holds a password, but "},
		{"all may read the URL", url, 0o644, "database: the settings file holds a password, but "},
		{"all may read the URL's query", strings.Replace(url, "u:"+canary+"@h/db", "${HOME}/db?password="+canary, 1), 0o644, "database: the settings file holds a password, but "},
		{"password beside a variable", strings.Replace(url, "@h", "@${HOME}", 1), 0o644, "database: the settings file holds a password, but "},
		{"a variable as password", strings.Replace(url, canary, "${HOME}", 1), 0o644, ""},
		{"no password in it", neither, 0o644, ""},
		{"a variable in its place", fromEnv, 0o644, ""},
	} {
		dir := t.TempDir()
		write(t, dir, "pw", canary, 0o600)
		path := write(t, dir, "deskd.yaml", c.text, c.mode)
		_, err := load(path, environ("HOME", canary))
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasSuffix(err.Error(), "run: chmod 600 "+path) {
			t.Errorf("%s: got %v, want %q and the command that mends it", c.name, err, c.want)
		} else if strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the password shows: %v", c.name, err)
		}
	}
}

func TestT45_KeyIsPrivateFromItsFirstMoment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustParse(t, minimal, dir, environ())

	_, err := s.Secret()
	missing := (*MissingKey)(nil)
	if !errors.As(err, &missing) || missing.Path != filepath.Join(dir, "deskd.key") || !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("without a key: got %v, want *MissingKey with its path", err)
	}
	made, err := MakeKey(s.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(s.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("mode of the key is %04o, want 0600", info.Mode().Perm())
	}
	read, err := s.Secret()
	if err != nil || !bytes.Equal(read, made) || len(read) != 32 {
		t.Errorf("read %d bytes, %v; want the 32 that were made", len(read), err)
	}
	if _, err := MakeKey(s.KeyFile); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a key was written over another: %v", err)
	}
	if again, _ := s.Secret(); !bytes.Equal(again, made) {
		t.Error("the refused second key changed the first")
	}
	other, err := MakeKey(filepath.Join(dir, "other.key"))
	if err != nil || bytes.Equal(other, made) {
		t.Errorf("two keys are alike (%v)", err)
	}
}

func TestT45_KeyThatOthersMayReadIsRefused(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no such modes there")
	}
	for _, mode := range []fs.FileMode{0o644, 0o640, 0o604, 0o660, 0o620, 0o610} {
		dir := t.TempDir()
		s := mustParse(t, minimal, dir, environ())
		write(t, dir, "deskd.key", strings.Repeat("ab", 32), mode)
		_, err := s.Secret()
		if err == nil || !strings.HasSuffix(err.Error(), "run: chmod 600 "+s.KeyFile) {
			t.Errorf("mode %04o: got %v, want the command that mends it", mode, err)
		}
	}
	dir := t.TempDir()
	s := mustParse(t, minimal, dir, environ())
	write(t, dir, "deskd.key", strings.Repeat("ab", 32), 0o400)
	if _, err := s.Secret(); err != nil {
		t.Errorf("mode 0400: %v", err)
	}
}

func TestKeyIsReadInHexAndBase64(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		size       int // 0: refused
	}{
		{"hex", strings.Repeat("0a", 32), 32},
		{"hex with line end", strings.Repeat("0A", 40) + "\r\n", 40},
		{"base64", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", 32},
		{"short hex", strings.Repeat("0a", 31), 0},
		{"short base64", "AAECAwQ=", 0},
		{"password", canary, 0},
		{"empty", "", 0},
		{"two lines", strings.Repeat("0a", 32) + "\nx", 0},
	} {
		dir := t.TempDir()
		s := mustParse(t, minimal, dir, environ())
		write(t, dir, "deskd.key", c.text, 0o600)
		key, err := s.Secret()
		if len(key) != c.size || (err == nil) != (c.size > 0) {
			t.Errorf("%s: got %d bytes, %v; want %d", c.name, len(key), err, c.size)
		}
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("%s: the key shows: %v", c.name, err)
		}
	}
}

func TestVariablesStandInPathsAndDatabase(t *testing.T) {
	t.Parallel()
	dir, creds := t.TempDir(), t.TempDir()
	write(t, creds, "imap", canary, 0o400)
	text := strings.Replace(minimal, "password: "+canary, "password_file: ${CREDENTIALS_DIRECTORY}/imap", 1)
	for _, c := range []struct{ name, line, want string }{
		{"relative file", "database: state/desk.db", filepath.Join(dir, "state/desk.db")},
		{"absolute file", "database: /var/lib/deskd/desk.db", "/var/lib/deskd/desk.db"},
		{"sqlite prefix", "database: sqlite:desk.db", filepath.Join(dir, "desk.db")},
		{"file prefix", "database: file:desk.db", filepath.Join(dir, "desk.db")},
		{"absolute file with prefix", "database: file:/var/lib/deskd/desk.db", "/var/lib/deskd/desk.db"},
		{"whole value", "database: ${URL}", "postgres://u:p%2F@h/db"},
		{"variable by name", "database_env: URL", "postgres://u:p%2F@h/db"},
		{"password alone", "database: postgres://u:${PW}@${HOST}/db", "postgres://u:a%40b%20c@h:5433/db"},
		{"dollar that is none", "database: a$b.db", filepath.Join(dir, "a$b.db")},
	} {
		env := environ("CREDENTIALS_DIRECTORY", creds, "URL", "postgres://u:p%2F@h/db", "PW", "a@b c", "HOST", "h:5433")
		s := mustParse(t, text+c.line+"\n", dir, env)
		if got := s.Database.Reveal(); got != c.want {
			t.Errorf("%s: database is %q, want %q", c.name, got, c.want)
		}
		if got := s.Mailin()[0].Password; got != canary {
			t.Errorf("%s: password is %q", c.name, got)
		}
	}
}
