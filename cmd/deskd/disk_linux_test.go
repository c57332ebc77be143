package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"deskd/store/storetest"
)

// smallDisk gives a folder with so much room and no more.
func smallDisk(t *testing.T, mib int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		if os.Getenv(storetest.EnvServers) == "required" {
			t.Fatalf("a small file system is required, which root can mount: %v", err)
		}
		t.Skipf("no file system can be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes what room there is left, and gives the name of the file that has
// it.
func fill(t *testing.T, dir string) string {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; size /= 4 {
		for {
			if _, err := f.Write(make([]byte, size)); err != nil {
				break
			}
		}
	}
	return f.Name()
}

// TestF24_FullDiskStopsIntakeUntilThereIsRoom fills the disk under a daemon and
// frees it again.
func TestF24_FullDiskStopsIntakeUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, 8)
	l := newLoad(t, filepath.Join(disk, "deskd.db"))
	d := start(t, l.settings("one", ""))
	l.send(3)
	l.settled()
	ballast := fill(t, disk)
	l.send(20)
	until(t, "the daemon says that it is not ready", func() bool { return d.answers(t, "localhost", "readyz") == 503 })
	until(t, "the page says that the disk is full", func() bool { return strings.Contains(d.get(t, ""), "the disk is full") })
	until(t, "a mail was tried again", func() bool { return strings.Count(d.log.String(), "the desk cannot take mail") >= 3 })
	if lines := strings.Count(d.log.String(), "\n"); lines > 200 {
		t.Errorf("%d lines in the log: it works in vain", lines)
	}
	done := l.filed()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	freed := time.Now()
	until(t, "mail is taken again", func() bool { return l.filed() > done })
	t.Logf("mail was taken %s after there was room", time.Since(freed).Round(100*time.Millisecond))
	l.settled()
	until(t, "the daemon is ready", func() bool { return d.answers(t, "localhost", "readyz") == 200 })
	l.judge(0)
	whole(t, l.database)
}

// whole has SQLite look over its file.
func whole(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var answer string
	if err := db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&answer); err != nil || answer != "ok" {
		t.Errorf("integrity check: %q, %v", answer, err)
	}
}

// TestF24_ErrorsOfTheDiskLoseNothing has the n-th write or sync of the database
// fail, for several n: from then on nothing more is written, and a restart on a
// sound disk goes on.
func TestF24_ErrorsOfTheDiskLoseNothing(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err == nil {
		err = exec.CommandContext(t.Context(), strace, "-qq", "-o", os.DevNull, "true").Run()
	}
	if err != nil {
		if os.Getenv(storetest.EnvServers) == "required" {
			t.Fatalf("strace is required: %v", err)
		}
		t.Skipf("no system call can be made to fail: %v", err)
	}
	for call, step := range map[string]int{"pwrite64": 9, "fsync,fdatasync": 1} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			runs, hits := 0, 0
			for n := 1; ; n += step {
				l := newLoad(t, filepath.Join(t.TempDir(), "deskd.db"))
				settings := l.settings("one", "")
				l.send(10)
				hit := strings.Contains(failing(t, strace, call, n, l, settings), "disk I/O error")
				d := start(t, settings)
				l.send(3)
				l.settled()
				d.kill()
				l.judge(2)
				whole(t, l.database)
				runs++
				if hit {
					hits++
				} else if l.filed() == len(l.sent) { // the end of its work came before the n-th call
					break
				}
				if n > 1000 || t.Failed() {
					t.Fatalf("%s number %d", call, n)
				}
			}
			t.Logf("%d runs, %d of them with an error", runs, hits)
			if hits == 0 {
				t.Error("no call failed: is this test still right?")
			}
		})
	}
}

// failing runs a daemon whose n-th call fails, until it has given up or is
// done, and kills it. It gives its log.
func failing(t *testing.T, strace, call string, n int, l *load, settings string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, strace, "-f", "-qq", "-o", os.DevNull, "-P", l.database, "-P", l.database+"-wal", "-e", "trace="+call,
		"-e", fmt.Sprintf("inject=%s:error=EIO:when=%d", call, n), built(t), "run", "--config", settings)
	log := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			return log.String()
		case <-tick.C:
			text := log.String()
			if l.filed() == len(l.sent) || strings.Contains(text, "the desk cannot take mail") || strings.Contains(text, "nothing more is written") {
				_ = cmd.Cancel()
				<-ended
				return log.String()
			}
		}
	}
}
