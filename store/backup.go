package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// ErrBackedUpElsewhere says that the database is a server's, which has means
// of its own.
var ErrBackedUpElsewhere = errors.New("a PostgreSQL database is backed up by its own means")

// Backup copies the database into a new file, which only its owner may read,
// while a daemon may be writing: the copy is of one moment. It is on disk and
// was looked through when Backup returns nil; else there is no file. A kill in
// between leaves an empty one, which no database is. progress, if not nil, is
// told the path of the file that grows.
//
// The lock of the database is not needed, nor is the key.
func Backup(ctx context.Context, url, path string, progress func(growing string)) (err error) {
	d, err := parseURL(url)
	if err != nil {
		return err
	}
	from, ok := d.(*sqliteDialect)
	if !ok {
		return ErrBackedUpElsewhere
	}
	if err := from.exists(); err != nil {
		return err
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	partial := path + ".partial"
	for _, name := range []string{path, partial} { // path is claimed before anything is done
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			if name == partial {
				err = errors.Join(err, os.Remove(path))
			}
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	defer func() {
		if err != nil {
			os.Remove(partial)
			os.Remove(path)
		}
	}()
	if progress != nil {
		progress(partial)
	}
	if err := from.copyTo(ctx, partial); err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	if err := lookThrough(ctx, partial); err != nil {
		return fmt.Errorf("look through the copy: %w", err)
	}
	if err := synced(partial); err != nil {
		return err
	}
	if err := os.Rename(partial, path); err != nil {
		return err
	}
	return synced(filepath.Dir(path))
}

// copyTo reads the database within one transaction and writes it packed.
func (d *sqliteDialect) copyTo(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", fileURL(d.path, "mode=ro&_pragma=busy_timeout(5000)"))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", path)
	return err
}

// lookThrough opens a copy and has SQLite look at every page of it.
func lookThrough(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", fileURL(path, "mode=ro"))
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, "PRAGMA integrity_check")
	if err != nil {
		return err
	}
	defer rows.Close()
	var said []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return err
		}
		said = append(said, line)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if text := strings.Join(said, "; "); text != "ok" {
		return fmt.Errorf("SQLite finds it damaged: %s", text)
	}
	return nil
}

func fileURL(path, query string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/…
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: query}
	return u.String()
}

// synced has a file or a folder written to disk.
func synced(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
