package porttest

import (
	"strconv"
	"testing"
)

func TestNoPortIsGivenTwice(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 200 {
		p := Free(t)
		if seen[p] {
			t.Fatalf("port %s was given twice", p)
		}
		seen[p] = true
		n, _ := strconv.Atoi(p)
		ln, err := listen(n)
		if err != nil {
			t.Fatalf("nobody can listen on it: %v", err)
		}
		_ = ln.Close()
	}
}
