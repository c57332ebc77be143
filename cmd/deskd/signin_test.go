package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"deskd/cmd/internal/demomail"
)

// visitor is somebody's browser on the page.
type visitor struct {
	t    *testing.T
	base string
	c    *http.Client
}

func (d *daemon) visitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t, d.page, &http.Client{Jar: jar}}
}

func (v *visitor) get(path string) (int, string) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.base+path, nil)
	return v.do(r, err)
}

// post sends a form as a browser does from one of the page's own.
func (v *visitor) post(path string, form url.Values) (int, string) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.base+path, strings.NewReader(form.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", strings.TrimSuffix(v.base, "/"))
	}
	return v.do(r, err)
}

func (v *visitor) do(r *http.Request, err error) (int, string) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	res, err := v.c.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func TestT40_SignInByMail(t *testing.T) {
	t.Parallel()
	s := demoSystem(t, demomail.Options{})
	d := start(t, settingsFor(t, s, "deskd.db", ""))
	s.send(t, "ann@example.com", []string{"support@example.com"}, letter("ann@example.com", "support@example.com", "VPN drops", "Since this morning."))
	nadia, ann, eve := s.open(t, "nadia@example.com"), s.open(t, "ann@example.com"), s.open(t, "eve@example.com")
	ann.wait("the acknowledgement", with("IT-1001"))

	// A technician asks on a computer, and follows the link on a telephone.
	computer, telephone := d.visitor(t), d.visitor(t)
	if code, page := computer.get("queue/all"); code != http.StatusUnauthorized || !strings.Contains(page, "Your mail address") || strings.Contains(page, "VPN") {
		t.Errorf("a stranger gets %d:\n%s", code, page)
	}
	_, _ = computer.post("sign-in", url.Values{"address": {"Nadia@example.com"}})
	letter := nadia.wait("the link", with("Sign in to"))
	link := regexp.MustCompile(`http://127\.0\.0\.1:\d+/(sign-in/[A-Z2-7]{26})`).FindStringSubmatch(letter.text)
	if link == nil {
		t.Fatalf("no link:\n%s", letter.text)
	}
	if code, page := telephone.get(link[1]); code != http.StatusOK || strings.Contains(page, "VPN") {
		t.Errorf("the link shows %d:\n%s", code, page)
	}
	if code, _ := telephone.get("queue/all"); code != http.StatusUnauthorized {
		t.Errorf("opening the link alone has signed in: %d", code)
	}
	if code, page := telephone.post(link[1], nil); code != http.StatusOK || !strings.Contains(page, "Overview") {
		t.Errorf("the button: %d\n%s", code, page)
	}
	if code, page := telephone.get("queue/network-team"); code != http.StatusOK || !strings.Contains(page, "VPN drops") {
		t.Errorf("a technician's queue: %d", code)
	}
	if code, _ := telephone.get("mail"); code != http.StatusNotFound {
		t.Errorf("a technician gets what is for administrators: %d", code)
	}
	if code, _ := d.visitor(t).post(link[1], nil); code != http.StatusForbidden {
		t.Errorf("the link a second time: %d", code)
	}
	if strings.Contains(d.log.String(), strings.TrimPrefix(link[1], "sign-in/")) {
		t.Error("the link is in the log (T45)")
	}

	// A requester types the code, and sees the own ticket alone.
	home := d.visitor(t)
	request := regexp.MustCompile(`name="request" value="([A-Z2-7]{26})"`)
	_, asked := home.post("sign-in", url.Values{"address": {"ann@example.com"}})
	letter = ann.wait("the code", with("Sign in to"))
	code := regexp.MustCompile(`Code:\s+([A-Z2-7]{4}-[A-Z2-7]{4})`).FindStringSubmatch(letter.text)
	if code == nil {
		t.Fatalf("no code:\n%s", letter.text)
	}
	typed := url.Values{"request": request.FindStringSubmatch(asked)[1:], "code": {" " + strings.ToLower(code[1])}}
	if status, page := home.post("sign-in/code", typed); status != http.StatusOK || !strings.Contains(page, "My tickets") || !strings.Contains(page, "VPN drops") {
		t.Errorf("the code: %d\n%s", status, page)
	}
	if status, page := home.get("ticket/1001"); status != http.StatusOK || !strings.Contains(page, "Since this morning.") || strings.Contains(page, "Raw source") {
		t.Errorf("the own ticket: %d\n%s", status, page)
	}
	if status, _ := home.get("queue/all"); status != http.StatusNotFound {
		t.Errorf("a requester gets a queue: %d", status)
	}

	// Whom nobody knows gets the same answer, and no mail.
	_, known := d.visitor(t).post("sign-in", url.Values{"address": {"noah@example.com"}})
	_, unknown := d.visitor(t).post("sign-in", url.Values{"address": {"evee@example.com"}})
	bare := func(page string) string {
		return strings.ReplaceAll(request.ReplaceAllString(page, ""), "evee@", "noah@")
	}
	if bare(known) != bare(unknown) {
		t.Errorf("the answers differ:\n%s\n%s", known, unknown)
	}
	s.open(t, "noah@example.com").wait("the link of somebody who asked before", with("Sign in to"))
	if n := eve.count(with("Sign in to")); n != 0 {
		t.Errorf("eve got %d mails", n)
	}

	// Signed out is out.
	form := regexp.MustCompile(`name="form" value="([^"]+)"`)
	_, account := telephone.get("account")
	if status, _ := telephone.post("sign-out", url.Values{"form": {"x"}}); status != http.StatusForbidden {
		t.Errorf("a foreign form: %d", status)
	}
	telephone.post("sign-out", url.Values{"form": form.FindStringSubmatch(account)[1:]})
	if status, _ := telephone.get("queue/all"); status != http.StatusUnauthorized {
		t.Errorf("signed out: %d", status)
	}

	// The machine itself makes links.
	out, exit := command(t, "sign-in", "root@example.com", "--config", d.settings)
	if exit != 0 || !strings.Contains(out, "/sign-in/") {
		t.Errorf("deskd sign-in: %d\n%s", exit, out)
	}
	if out, exit := command(t, "sign-in", "eve@example.com", "--config", d.settings); exit != exitUsage || !strings.Contains(out, "nothing to see") {
		t.Errorf("deskd sign-in of a stranger: %d\n%s", exit, out)
	}
}
