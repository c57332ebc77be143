//go:build unix

package desk_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What .ci/matrix asks for. A test run without them takes each point once.
var (
	matrixFolder = flag.String("matrix.folder", "", "keep what became of each run here, and go on where it stopped")
	matrixRuns   = flag.Int("matrix.runs", 1, "how often to die at each point, on each database")
	matrixRandom = flag.Int("matrix.random", 50, "how often to die at a random moment, on both databases together")
	matrixShard  = flag.String("matrix.shard", "1/1", "which part of the runs: 3/10 is every tenth, from the third")
)

// way is a line of the matrix.
type way struct {
	name string
	die  func(t *noted, url string, n int, got *result)
}

// The lines that are no points.
const (
	nthEffect    = "instead of the n-th effect, until one lives"
	randomMoment = "at a random moment"
)

// points are the lines that are run equally often.
func points() []way {
	var out []way
	for _, deaths := range [][]death{migrating, beforeDeciding, beforeFiling, whileSending, whileStopping, takingBack} {
		for _, d := range deaths {
			out = append(out, way{d.name, d.run})
		}
	}
	return out
}

// TestMatrix is what .ci/matrix runs. The other tests that kill take the same
// ways, a few times each.
func TestMatrix(t *testing.T) {
	if *matrixFolder == "" {
		t.Skip("only by command: .ci/matrix")
	}
	var shard, shards int
	if _, err := fmt.Sscanf(*matrixShard, "%d/%d", &shard, &shards); err != nil || shard < 1 || shard > shards {
		t.Fatalf("-matrix.shard %s: want something like 3/10", *matrixShard)
	}
	b, err := openBook(*matrixFolder, shard, shards)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	t.Run("runs", func(t *testing.T) {
		for _, database := range databases {
			t.Run(nthEffect+"/"+database, func(t *testing.T) {
				t.Parallel()
				for n := shard; n <= mostEffects; n += shards {
					if got := b.do(t, way{nthEffect, atEffect}, run{nthEffect, database, n}, false); got.lived() {
						return
					}
				}
				t.Errorf("none lived up to %d", mostEffects)
			})
		}
		at := 0
		each := func(w way, database string, n int) {
			if at++; at%shards == shard%shards {
				b.do(t, w, run{w.name, database, n}, true)
			}
		}
		for n := range *matrixRuns {
			for _, w := range points() {
				for _, database := range databases {
					each(w, database, n+1)
				}
			}
		}
		for seed := 1; seed <= *matrixRandom; seed++ {
			each(way{randomMoment, atRandom}, databases[seed%len(databases)], seed)
		}
	})
	all, err := readBooks(*matrixFolder)
	if err != nil {
		t.Fatal(err)
	}
	text, faulty := table(all)
	fmt.Println(text)
	// What went wrong is told at length after it.
	if err := os.WriteFile(filepath.Join(*matrixFolder, "table.txt"), []byte(text+"\n"), 0o600); err != nil {
		t.Error(err)
	}
	if faulty > 0 {
		t.Errorf("%d runs went wrong: look for Faults in %s, beside table.txt", faulty, *matrixFolder)
	}
}

// book keeps what became of the runs of one shard: a line each, written when
// the run has ended.
type book struct {
	mu   sync.Mutex
	file *os.File
	done map[run]result
}

func openBook(folder string, shard, shards int) (*book, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(folder, fmt.Sprintf("%d-of-%d.jsonl", shard, shards)), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s is being written by another matrix: %w", f.Name(), err)
	}
	old, whole, err := readBook(f.Name())
	if err == nil {
		err = f.Truncate(whole) // a line that a kill has cut short
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	b := &book{file: f, done: map[run]result{}}
	for _, r := range old {
		b.done[r.run] = r
	}
	return b, nil
}

func (b *book) Close() error { return b.file.Close() }

// do does a run that was not done before, as a test of its own.
func (b *book) do(t *testing.T, w way, r run, parallel bool) (got result) {
	b.mu.Lock()
	got, done := b.done[r]
	b.mu.Unlock()
	if done {
		return got
	}
	t.Run(fmt.Sprintf("%s/%s/%d", r.Point, r.Database, r.Run), func(t *testing.T) {
		if parallel {
			t.Parallel()
		}
		url := open(t, r.Database)
		began, n := time.Now(), note(t)
		got := &got
		if parallel { // the caller does not wait
			got = &result{}
		}
		got.run = r
		defer func() {
			got.Faults, got.Took = n.faults, time.Since(began).Round(time.Millisecond)
			if err := b.write(*got); err != nil {
				t.Error(err)
			}
		}()
		w.die(n, url, r.Run, got)
	})
	return got
}

func (b *book) write(r result) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done[r.run] = r
	if _, err := b.file.Write(append(line, '\n')); err != nil {
		return err
	}
	return b.file.Sync()
}

// readBooks reads what all shards have done.
func readBooks(folder string) ([]result, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.jsonl"))
	if err != nil {
		return nil, err
	}
	var all []result
	for _, f := range files {
		some, _, err := readBook(f)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// readBook gives the runs in a file, and how many bytes of it are whole lines.
func readBook(file string) (all []result, whole int64, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	for {
		line, rest, ok := bytes.Cut(text[whole:], []byte("\n"))
		if !ok {
			return all, whole, nil
		}
		var r result
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, r)
		whole = int64(len(text) - len(rest))
	}
}

// table prints what became of all runs, and says how many went wrong. Each is
// counted once, whatever shards it is in.
func table(all []result) (text string, faulty int) {
	type line struct {
		name string
		runs map[string]int // by database
		figures
		allowed, seen int // most in one run
		deaths, wrong int
	}
	var lines []*line
	byName := map[string]*line{}
	add := func(name string) *line {
		if byName[name] == nil {
			byName[name] = &line{name: name, runs: map[string]int{}}
			lines = append(lines, byName[name])
		}
		return byName[name]
	}
	for _, w := range points() {
		add(w.name)
	}
	add(nthEffect)
	add(randomMoment)
	counted := map[run]bool{}
	for _, r := range all {
		if counted[r.run] {
			continue
		}
		counted[r.run] = true
		wrong := 0
		if len(r.Faults) > 0 {
			wrong = 1
		}
		faulty += wrong
		for _, l := range []*line{add(r.Point), add("all")} {
			l.runs[r.Database]++
			l.deaths += r.Deaths
			l.Lost += r.Lost
			l.Tickets += r.Tickets
			l.Changes += r.Changes
			l.Broken += r.Broken
			l.Repeats += r.Repeats
			l.seen, l.allowed = max(l.seen, r.Repeats), max(l.allowed, r.Allowed)
			l.wrong += wrong
		}
	}
	// The sum is the last line.
	if i := slices.Index(lines, byName["all"]); i >= 0 {
		lines = append(slices.Delete(lines, i, i+1), byName["all"])
	}
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "point\tsqlite\tpostgres\tdeaths\tlost\ttickets twice\tchanges twice\trepeats\tin one run, most seen / allowed\tnot intact\truns with faults")
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d / %d\t%d\t%d\n", l.name, l.runs["sqlite"], l.runs["postgres"],
			l.deaths, l.Lost, l.Tickets, l.Changes, l.Repeats, l.seen, l.allowed, l.Broken, l.wrong)
	}
	w.Flush()
	return strings.TrimRight(out.String(), "\n"), faulty
}

func TestAMatrixGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	good := result{run: run{"MOVE asked", "sqlite", 1}, Deaths: 1}
	bad := result{run: run{"MOVE asked", "postgres", 1}, figures: figures{Lost: 2, Repeats: 1}, Deaths: 1, Faults: []string{"a mail is lost"}}
	b, err := openBook(folder, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openBook(folder, 1, 2); err == nil {
		t.Error("two matrices write one book")
	}
	for _, r := range []result{good, bad} {
		if err := b.write(r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.file.WriteString(`{"Point":"MOVE as`); err != nil { // killed
		t.Fatal(err)
	}
	b.Close()
	if b, err = openBook(folder, 1, 2); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if diff := cmp.Diff(map[run]result{good.run: good, bad.run: bad}, b.done, cmp.AllowUnexported(result{}, figures{})); diff != "" {
		t.Errorf("what is done (-want +got):\n%s", diff)
	}
	b.do(t, way{"MOVE asked", func(*noted, string, int, *result) { t.Error("done again") }}, good.run, false)
	late := result{run: run{"MOVE asked", "sqlite", 2}}
	if err := b.write(late); err != nil {
		t.Fatal(err)
	}
	all, err := readBooks(folder)
	if err != nil || len(all) != 3 {
		t.Fatalf("%d runs are in the book, %v; want 3", len(all), err)
	}
	text, faulty := table(append(all, good))
	for _, want := range []string{`(?m)^MOVE asked +2 +1 +2 +2 +0 +0 +1 +1 / 0 +0 +1$`, `(?m)^all +2 +1 `, `(?m)^MOVE answered +0 +0 `} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
	if faulty != 1 {
		t.Errorf("%d runs went wrong, want 1", faulty)
	}
}
