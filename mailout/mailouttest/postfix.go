package mailouttest

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"deskd/configs/porttest"
)

// Places of Debian's postfix package.
const (
	postfixDaemons = "/usr/lib/postfix/sbin"
	postfixMeta    = "/etc/postfix"
)

// PostfixOptions say how a Postfix is set up.
type PostfixOptions struct {
	Host       string              // its name, and its authserv-id (RFC 8601); mx.example.com if empty
	Domains    []string            // that it delivers; example.com if empty
	LMTP       string              // host:port where it delivers to
	Aliases    map[string][]string // a list's address → its members
	Logins     map[string]string   // address → password, for submission
	AuthSocket string              // of a Dovecot, instead of Logins: "/path" or "inet:host:port"
	CertFile   string              // PEM; with it submission offers STARTTLS
	KeyFile    string
}

// PostfixServer is a running Postfix.
type PostfixServer struct {
	Outside    string // host:port for mail from the internet: Authentication-Results are taken off
	Submission string // host:port for people of the house
	Dir        string // of its configuration, queue and log

	t testing.TB
}

// Postfix starts a real Postfix in a folder of its own. It stops with the
// test. Where Postfix is not installed, or the test does not run as root, the
// test is skipped, or fails if DESKD_TEST_SERVERS is "required".
//
// Submission asks for a login when there are any, binds the envelope sender
// to it, and then writes a passing Authentication-Results for the sender's
// domain on top of the mail. The header's From is not compared with the login:
// what the field proves is as much as many real servers prove.
func Postfix(t testing.TB, o PostfixOptions) *PostfixServer {
	t.Helper()
	if _, err := os.Stat(filepath.Join(postfixDaemons, "master")); err != nil {
		missing(t, "Postfix is not installed")
	}
	if os.Geteuid() != 0 {
		missing(t, "Postfix wants to be started by root")
	}
	if o.Host == "" {
		o.Host = "mx.example.com"
	}
	if len(o.Domains) == 0 {
		o.Domains = []string{"example.com"}
	}
	dir, err := os.MkdirTemp("/tmp", "deskd-postfix-") // short, since it holds sockets
	if err != nil {
		t.Fatalf("postfix: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &PostfixServer{
		Outside:    net.JoinHostPort("127.0.0.1", porttest.Free(t)),
		Submission: net.JoinHostPort("127.0.0.1", porttest.Free(t)),
		Dir:        dir, t: t,
	}
	if o.AuthSocket == "" && len(o.Logins) > 0 {
		o.AuthSocket = "inet:" + startAuth(t, o.Logins)
	}
	makeQueue(t, dir)
	write(t, dir, "main.cf", mainCF(dir, o))
	write(t, dir, "master.cf", masterCF(p, o))
	write(t, dir, "strip", "/^Authentication-Results:/ IGNORE\n")
	write(t, dir, "vouch", "/@([^@]+)$/ PREPEND Authentication-Results: "+o.Host+"; dmarc=pass header.from=$1\n")
	write(t, dir, "senders", "/^(.*)$/ $1\n")
	var aliases strings.Builder
	for list, members := range o.Aliases {
		fmt.Fprintf(&aliases, "%s %s\n", list, strings.Join(members, ", "))
	}
	write(t, dir, "aliases", aliases.String())
	p.start()
	return p
}

// Log gives what Postfix wrote into its log so far.
func (p *PostfixServer) Log() string {
	b, _ := os.ReadFile(filepath.Join(p.Dir, "log"))
	return string(b)
}

// missing skips the test, or fails it where all servers must be there.
func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("DESKD_TEST_SERVERS") == "required" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func mainCF(dir string, o PostfixOptions) string {
	var b strings.Builder
	set := func(key, value string) { fmt.Fprintf(&b, "%s = %s\n", key, value) }
	set("compatibility_level", "3.6")
	set("queue_directory", dir+"/queue")
	set("data_directory", dir+"/data")
	set("command_directory", "/usr/sbin")
	set("daemon_directory", postfixDaemons)
	set("meta_directory", postfixMeta)
	set("mail_owner", "postfix")
	set("maillog_file", dir+"/log")
	set("maillog_file_prefixes", dir)
	set("myhostname", o.Host)
	set("mydestination", "")
	set("inet_interfaces", "127.0.0.1")
	set("inet_protocols", "ipv4")
	set("mynetworks", "127.0.0.0/8")
	set("smtpd_peername_lookup", "no")
	set("smtp_dns_support_level", "disabled")
	set("lmtp_dns_support_level", "disabled")
	set("alias_maps", "")
	set("alias_database", "")
	set("local_recipient_maps", "")
	set("notify_classes", "")
	set("default_transport", "error:nothing leaves this machine")
	set("relay_transport", "error:nothing leaves this machine")
	set("virtual_mailbox_domains", strings.Join(o.Domains, ", "))
	set("virtual_mailbox_maps", "")
	set("virtual_alias_maps", "texthash:"+dir+"/aliases")
	set("virtual_transport", "lmtp:inet:"+o.LMTP)
	set("smtpd_relay_restrictions", "reject_unauth_destination")
	set("minimal_backoff_time", "1s")
	set("maximal_backoff_time", "3s")
	set("queue_run_delay", "1s")
	set("in_flow_delay", "0")
	if o.CertFile != "" {
		set("smtpd_tls_cert_file", o.CertFile)
		set("smtpd_tls_key_file", o.KeyFile)
	}
	return b.String()
}

func masterCF(p *PostfixServer, o PostfixOptions) string {
	var b strings.Builder
	service := func(name, kind, wakeup, limit, command string, options ...string) {
		private := "n"
		if kind == "unix" && !slices.Contains([]string{"cleanup", "cleanup-outside", "qmgr", "flush"}, name) {
			private = "y"
		}
		fmt.Fprintf(&b, "%s %s %s - n %s %s %s\n", name, kind, private, wakeup, limit, command)
		for _, opt := range options {
			fmt.Fprintf(&b, "  -o %s\n", opt)
		}
	}
	service(p.Outside, "inet", "-", "-", "smtpd",
		"cleanup_service_name=cleanup-outside")
	submission := []string{
		"syslog_name=submission",
		"smtpd_relay_restrictions=permit_mynetworks,reject",
		"smtpd_recipient_restrictions=check_sender_access,regexp:" + p.Dir + "/vouch,permit_mynetworks,reject",
	}
	if o.AuthSocket != "" {
		submission = []string{
			"syslog_name=submission",
			"smtpd_sasl_auth_enable=yes",
			"smtpd_sasl_type=dovecot",
			"smtpd_sasl_path=" + o.AuthSocket,
			"smtpd_sender_login_maps=regexp:" + p.Dir + "/senders",
			"smtpd_sender_restrictions=reject_sender_login_mismatch",
			"smtpd_relay_restrictions=permit_sasl_authenticated,reject",
			"smtpd_recipient_restrictions=check_sender_access,regexp:" + p.Dir + "/vouch,permit_sasl_authenticated,reject",
		}
	}
	if o.CertFile != "" {
		submission = append(submission, "smtpd_tls_security_level=may")
	}
	service(p.Submission, "inet", "-", "-", "smtpd", submission...)
	service("cleanup", "unix", "-", "0", "cleanup")
	service("cleanup-outside", "unix", "-", "0", "cleanup", "header_checks=regexp:"+p.Dir+"/strip")
	service("qmgr", "unix", "300", "1", "qmgr")
	service("rewrite", "unix", "-", "-", "trivial-rewrite")
	for _, name := range []string{"bounce", "defer", "trace"} {
		service(name, "unix", "-", "0", "bounce")
	}
	service("flush", "unix", "1000?", "0", "flush")
	service("proxymap", "unix", "-", "-", "proxymap")
	service("tlsmgr", "unix", "1000?", "1", "tlsmgr")
	service("error", "unix", "-", "-", "error")
	service("retry", "unix", "-", "-", "error")
	service("lmtp", "unix", "-", "-", "lmtp")
	service("anvil", "unix", "-", "1", "anvil")
	service("scache", "unix", "-", "1", "scache")
	service("postlog", "unix-dgram", "-", "1", "postlogd")
	return b.String()
}

// makeQueue makes the folders with the owners that Postfix insists on.
func makeQueue(t testing.TB, dir string) {
	t.Helper()
	postfix, err := user.Lookup("postfix")
	if err != nil {
		missing(t, "there is no user postfix")
	}
	drop, err := user.LookupGroup("postdrop")
	if err != nil {
		missing(t, "there is no group postdrop")
	}
	uid, _ := strconv.Atoi(postfix.Uid)
	gid, _ := strconv.Atoi(drop.Gid)
	own := func(name string, mode os.FileMode, uid, gid int) {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(full, 0o755); err != nil {
			t.Fatalf("postfix: %v", err)
		}
		if err := os.Chown(full, uid, gid); err != nil {
			t.Fatalf("postfix: %v", err)
		}
		if err := os.Chmod(full, mode); err != nil {
			t.Fatalf("postfix: %v", err)
		}
	}
	own(".", 0o755, 0, 0)
	own("queue", 0o755, 0, 0)
	own("data", 0o700, uid, -1)
	own("queue/pid", 0o755, 0, 0)
	for _, name := range strings.Fields("active bounce corrupt defer deferred flush hold incoming private saved trace") {
		own("queue/"+name, 0o700, uid, -1)
	}
	own("queue/public", 0o710, uid, gid)
	own("queue/maildrop", 0o730, uid, gid)
}

// start runs the master daemon as a child, and waits for both greetings.
func (p *PostfixServer) start() {
	p.t.Helper()
	cmd := exec.Command(filepath.Join(postfixDaemons, "master"), "-c", p.Dir, "-d",
		"-e", "1200") // seconds, should the test die without its cleanup
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its children end with it
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "MAIL_CONFIG=" + p.Dir}
	var out bytes.Buffer // what it says before it has a log
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		p.t.Fatalf("postfix: %v", err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	p.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for _, addr := range []string{p.Outside, p.Submission} {
		for !greets(addr) {
			select {
			case <-tick.C:
			case <-ended:
				p.t.Fatalf("postfix ended: %v\n%s\n%s", cmd.ProcessState, out.Bytes(), p.Log())
			case <-limit:
				p.t.Fatalf("postfix does not answer:\n%s", p.Log())
			}
		}
	}
}

// greets says whether an SMTP server answers there.
func greets(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	line, err := bufio.NewReader(c).ReadString('\n')
	_, _ = c.Write([]byte("QUIT\r\n"))
	return err == nil && strings.HasPrefix(line, "220 ")
}

// startAuth answers Postfix as a Dovecot's login service would, in Dovecot's
// authentication protocol 1.1.
func startAuth(t testing.TB, logins map[string]string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("postfix: %v", err)
	}
	accepting := make(chan struct{})
	var conns []net.Conn
	var answering sync.WaitGroup
	go func() {
		defer close(accepting)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			conns = append(conns, c)
			answering.Go(func() { answerAuth(c, logins) })
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-accepting
		for _, c := range conns {
			_ = c.Close()
		}
		answering.Wait()
	})
	return ln.Addr().String()
}

func answerAuth(c net.Conn, logins map[string]string) {
	defer c.Close()
	fmt.Fprintf(c, "VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t%032x\nDONE\n", 1)
	lines := bufio.NewScanner(c)
	for lines.Scan() {
		f := strings.Split(lines.Text(), "\t")
		if f[0] != "AUTH" || len(f) < 3 {
			continue
		}
		i := slices.IndexFunc(f, func(s string) bool { return strings.HasPrefix(s, "resp=") })
		if i < 0 {
			fmt.Fprintf(c, "FAIL\t%s\n", f[1])
			continue
		}
		b, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(f[i], "resp="))
		who := strings.Split(string(b), "\x00")
		if len(who) == 3 && who[2] != "" && logins[who[1]] == who[2] {
			fmt.Fprintf(c, "OK\t%s\tuser=%s\n", f[1], who[1])
		} else {
			fmt.Fprintf(c, "FAIL\t%s\n", f[1])
		}
	}
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatalf("postfix: %v", err)
	}
}
