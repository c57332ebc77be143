package demomail

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzReceive(f *testing.F) {
	for _, seed := range []string{
		hello, "", "\r\n", " x\r\nFrom: a@example.com\r\n\r\n", "Authentication-Results : x\r\n y\r\nFrom: ann@example.com\r\n\r\nReturn-Path: x\r\n",
		"From: ann@example.com\rFrom: eve@example.com\n\nx", "A:b\r\n\r\r\nFrom: ann@example.com", "From: =?x?q?y?= <ann@example.com>",
	} {
		f.Add([]byte(seed))
	}
	s := &Server{o: Options{AuthServer: "demo.example.com"}}
	e := envelope{login: "ann@example.com"}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, verdict := s.receive(e, raw)
		if stripped := bytes.ReplaceAll(got, []byte("\r\n"), nil); bytes.ContainsAny(stripped, "\r\n") {
			t.Errorf("a bare CR or LF is left in %q", got)
		}
		if len(got) > 0 && (got[0] == ' ' || got[0] == '\t') {
			t.Errorf("the first line would continue the server's own field: %q", got)
		}
		again, same := s.receive(e, got)
		if !bytes.Equal(got, again) || same != verdict {
			t.Errorf("taken twice: %q %v, then %q %v", got, verdict, again, same)
		}
		head, _, _ := strings.Cut("\r\n"+string(got), "\r\n\r\n")
		lower := strings.ToLower(head)
		for name := range foreign {
			if strings.Contains(lower, "\r\n"+name+":") {
				t.Errorf("%s is left in %q", name, head)
			}
		}
		if verdict.verdict == "pass" && strings.Count(lower, "\r\nfrom:") != 1 {
			t.Errorf("pass without exactly one From: %q", head)
		}
	})
}

func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"ann@example.com", "Support+1042.x@Example.com", "a.+x@example.com", "+x@example.com", "a@b@c", "a..b@c", "a@-b", "ä@b", "a\r\n@b", "@", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAddress(s)
		if err != nil {
			return
		}
		if a.String() != strings.ToLower(s) {
			t.Errorf("%q prints as %q", s, a)
		}
		if again, err := parseAddress(a.base()); err != nil || again.base() != a.base() {
			t.Errorf("the base of %q is no address: %v", s, err)
		}
		if strings.ContainsAny(a.String(), "\r\n\x00 <>:;,\"\\()") {
			t.Errorf("%q has characters that mean something in a header", a)
		}
	})
}
