package desk

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"deskd/mailin"
	"deskd/store"
)

// Every mail of the corpus ends in a fate of its own, with its source kept,
// and what goes out because of it can be read. None sinks the batch it is in.
func TestF40EveryMailOfTheCorpusGetsAFate(t *testing.T) {
	root := os.Getenv("DESKD_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "corpus")
	}
	o := quick(t, quiet)
	var names []string
	seen := 0
	var batch []mailin.Fetched
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || slices.Contains([]string{".json", ".tsv", ".md", ".py"}, filepath.Ext(path)) {
			return err
		}
		if seen++; testing.Short() && seen%8 != 0 {
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		names = append(names, path)
		if batch = append(batch, o.fetch(string(raw))); len(batch) == 50 {
			o.handOver(batch)
			o.clock.add(time.Hour)
			batch = nil
		}
		return nil
	})
	if err != nil || len(names) == 0 {
		if os.Getenv("DESKD_TEST_SERVERS") == "required" {
			t.Fatalf("corpus at %s: %d mails, %v", root, len(names), err)
		}
		t.Skipf("no corpus at %s", root)
	}
	o.handOver(batch)
	for _, in := range o.intakes() {
		if in.Fate == "" || in.Fate == store.FateQuarantined {
			t.Errorf("%s: fate %q (%s)", names[in.UID-1], in.Fate, in.LastError)
		}
		if raw, err := os.ReadFile(names[in.UID-1]); err == nil {
			if kept, err := o.store.Raw(t.Context(), in.SHA256); err != nil || !bytes.Equal(kept, raw) {
				t.Errorf("%s: %d bytes kept of %d, %v", names[in.UID-1], len(kept), len(raw), err)
			}
		}
	}
	for _, p := range o.post() {
		if p.Message.MessageID != p.Row.MessageID || len(p.Faults) > 0 || o.rules.Own(p.Recipient) {
			t.Errorf("%s to %s because of %s: %q", p.Kind, p.Recipient, names[p.Intake-1], p.Faults)
		}
	}
}
