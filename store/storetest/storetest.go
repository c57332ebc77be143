// Package storetest gives tests the two databases that the store runs on: a
// fresh SQLite file, and a fresh database in a real PostgreSQL server that is
// started for the test binary. Wrap lets a test fail or watch what goes to the
// database.
package storetest

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"deskd/configs/porttest"
)

// Environment variables that steer which server is used.
const (
	EnvPostgres = "DESKD_TEST_POSTGRES" // URL of a running server whose user may create databases
	EnvServers  = "DESKD_TEST_SERVERS"  // "required": a missing server fails the test instead of skipping it
)

// shared is the server of this test binary. Tests ask for it one by one and
// know nothing of one another, so it can only be kept here.
var shared struct {
	sync.Mutex
	server  *Postgres
	err     error
	started bool
	count   int
}

// Main runs a package's tests and stops the server that they shared. It is all
// that a TestMain needs; check, if not nil, runs when all has ended and may
// turn the result into a failure (goleak).
func Main(m *testing.M, check func() error) {
	code := m.Run()
	shared.Lock()
	if shared.server != nil {
		shared.server.stop()
	}
	shared.Unlock()
	if check != nil && code == 0 {
		if err := check(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// Each runs a test on both databases: fn gets the URL of an empty one. Without
// a PostgreSQL server that part is skipped, or fails if DESKD_TEST_SERVERS is
// "required".
func Each(t *testing.T, fn func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, PostgreSQL(t)) })
}

// SQLite gives the path of a database that does not exist yet.
func SQLite(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "data", "desk.db")
}

// PostgreSQL gives the URL of an empty database, which is dropped when the
// test ends.
func PostgreSQL(t testing.TB) string {
	t.Helper()
	shared.Lock()
	if !shared.started {
		shared.started = true
		if given := os.Getenv(EnvPostgres); given != "" {
			shared.server, shared.err = &Postgres{url: given}, nil
		} else {
			shared.server, shared.err = start(false)
		}
	}
	server, err := shared.server, shared.err
	shared.count++
	n := shared.count
	shared.Unlock()
	if err != nil {
		missing(t, err)
	}
	return server.database(t, fmt.Sprintf("deskd_test_%d_%d", os.Getpid(), n))
}

// Start starts a server for one test alone, which syncs its writes to the
// disk, so that it may be killed and durability looked at.
func Start(t testing.TB) *Postgres {
	t.Helper()
	server, err := start(true)
	if err != nil {
		missing(t, err)
	}
	t.Cleanup(server.stop)
	return server
}

// Kept starts a server whose databases stay in a folder, for the next test that
// asks for them there.
func Kept(t testing.TB, dir string) *Postgres {
	t.Helper()
	bin, err := programs()
	if err != nil {
		missing(t, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	server, err := run(bin, dir, false, "128MB") // what a new server has
	if err != nil {
		missing(t, err)
	}
	server.kept = true
	t.Cleanup(server.stop)
	return server
}

// Keep makes a database that stays, if it is not there yet, and gives its URL.
func (p *Postgres) Keep(t testing.TB, name string) string {
	t.Helper()
	db, err := sql.Open("pgx", p.url)
	if err != nil {
		t.Fatalf("connect to PostgreSQL: %v", err)
	}
	defer db.Close()
	var there int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_database WHERE datname = $1", name).Scan(&there); err != nil {
		t.Fatalf("look for a database: %v", err)
	}
	if there == 0 {
		if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
			t.Fatalf("make a database: %v", err)
		}
	}
	u, err := url.Parse(p.url)
	if err != nil {
		t.Fatalf("read the server's URL: %v", err)
	}
	u.Path = "/" + name
	return u.String()
}

func missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv(EnvServers) == "required" {
		t.Fatalf("PostgreSQL is required: %v", err)
	}
	t.Skipf("PostgreSQL is not to be had: %v", err)
}

// Postgres is a PostgreSQL server on loopback.
type Postgres struct {
	url     string // of its database "postgres"
	bin     string // folder of its programs
	dir     string
	port    int
	release func() // gives the port back
	durable bool
	buffers string               // shared_buffers: what it keeps in memory
	kept    bool                 // dir stays
	as      *syscall.SysProcAttr // the user that it runs as
	command *exec.Cmd
	stdin   io.Closer
	once    sync.Once
}

// Database makes an empty database and gives its URL.
func (p *Postgres) Database(t testing.TB, name string) string {
	t.Helper()
	return p.database(t, name)
}

func (p *Postgres) database(t testing.TB, name string) string {
	t.Helper()
	db, err := sql.Open("pgx", p.url)
	if err != nil {
		t.Fatalf("connect to PostgreSQL: %v", err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
		t.Fatalf("make a database: %v", err)
	}
	t.Cleanup(func() {
		db, err := sql.Open("pgx", p.url)
		if err != nil {
			t.Errorf("connect to PostgreSQL: %v", err)
			return
		}
		defer db.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if _, err := db.ExecContext(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Logf("drop database %s: %v", name, err)
		}
	})
	u, err := url.Parse(p.url)
	if err != nil {
		t.Fatalf("read the server's URL: %v", err)
	}
	u.Path = "/" + name
	return u.String()
}

// start makes a cluster in a temporary folder and runs a server on it.
func start(durable bool) (*Postgres, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	// The path must be short: a socket's path has some 100 bytes.
	dir, err := os.MkdirTemp("/tmp", "deskd-pg-")
	if err != nil {
		return nil, err
	}
	p, err := run(bin, dir, durable, "32MB")
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return p, nil
}

func run(bin, dir string, durable bool, buffers string) (*Postgres, error) {
	as, err := otherUser(dir) // PostgreSQL refuses to run as root
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err != nil { // else it was kept
		initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
		initdb.SysProcAttr, initdb.Dir = as, dir
		if out, err := initdb.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("initdb: %w: %s", err, out)
		}
	}
	port, release, err := porttest.Take()
	if err != nil {
		return nil, err
	}
	p := &Postgres{
		url: fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port),
		bin: bin, dir: dir, port: port, release: release, durable: durable, buffers: buffers, as: as,
	}
	if err := p.launch(); err != nil {
		release()
		return nil, err
	}
	return p, nil
}

// launch starts the server's program on its cluster.
func (p *Postgres) launch() error {
	fsync := "off"
	if p.durable {
		fsync = "on"
	}
	// The shell ends the server when its own input ends: also when this
	// process is killed.
	command := exec.Command("/bin/sh", "-c", `"$@" </dev/null & pid=$!; read x; kill -INT $pid; wait $pid`, "sh",
		filepath.Join(p.bin, "postgres"), "-D", filepath.Join(p.dir, "data"), "-h", "127.0.0.1", "-p", strconv.Itoa(p.port), "-k", p.dir,
		"-c", "fsync="+fsync, "-c", "full_page_writes="+fsync, "-c", "max_connections=200", "-c", "shared_buffers="+p.buffers,
		"-c", "log_min_messages=warning", "-c", "logging_collector=off")
	command.SysProcAttr, command.Dir = p.as, p.dir
	stdin, err := command.StdinPipe()
	if err != nil {
		return err
	}
	log, err := command.StderrPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	p.command, p.stdin = command, stdin
	if p.ready(log) {
		return nil
	}
	stdin.Close()
	_ = command.Wait()
	return errors.New("postgres does not answer")
}

// Stop stops the server: in order, or when killed as by a power cut. What
// happens meanwhile is for the test to say; Go starts it again.
func (p *Postgres) Stop(t testing.TB, killed bool) {
	t.Helper()
	if killed {
		text, err := os.ReadFile(filepath.Join(p.dir, "data", "postmaster.pid"))
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		pid, err := strconv.Atoi(first)
		if err != nil {
			t.Fatal(err)
		}
		server, err := os.FindProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	p.stdin.Close()
	_ = p.command.Wait()
}

// Go starts the server again after Stop, on the same port. One that was killed
// leaves processes behind for a moment, which have the files still.
func (p *Postgres) Go(t testing.TB) {
	t.Helper()
	var err error
	for range 20 {
		if err = p.launch(); err == nil {
			return
		}
	}
	t.Fatalf("start PostgreSQL again: %v", err)
}

// ready waits until the server takes connections. The log is read to its end,
// so that the server never waits for us.
func (p *Postgres) ready(log io.Reader) bool {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			continue
		}
		_, _ = io.Copy(io.Discard, log)
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(60 * time.Second)
	defer deadline.Stop()
	for {
		select {
		case <-ended:
			return false
		case <-deadline.C:
			return false
		case <-tick.C:
			if p.answers() {
				return true
			}
		}
	}
}

func (p *Postgres) answers() bool {
	db, err := sql.Open("pgx", p.url)
	if err != nil {
		return false
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return db.PingContext(ctx) == nil
}

func (p *Postgres) stop() {
	p.once.Do(func() {
		if p.command == nil {
			return // somebody else's
		}
		p.stdin.Close()
		_ = p.command.Wait()
		p.release()
		if !p.kept {
			os.RemoveAll(p.dir)
		}
	})
}

// programs finds the folder with initdb and postgres.
func programs() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		return filepath.Dir(path), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		return "", errors.New("no PostgreSQL is installed")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}
