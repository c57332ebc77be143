package mailintest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"deskd/configs/porttest"
)

// DovecotOptions say how a Dovecot differs from the plain one.
type DovecotOptions struct {
	NoMove    bool   // does not advertise MOVE
	NoUIDPlus bool   // does not advertise UIDPLUS
	NoIdle    bool   // does not advertise IDLE
	Separator string // of folder names, "/" by default
	Prefix    string // of personal folders, such as "INBOX."
	CertFile  string // switches STARTTLS and the TLS port on
	KeyFile   string
}

// DovecotServer is a running Dovecot. Every user has the Password; a user's
// mail is kept under the local part of the address.
type DovecotServer struct {
	IMAP string // host:port
	TLS  string // host:port, with implicit TLS; empty without a certificate
	LMTP string // host:port
	PID  int    // of the master process
	Home string // mail of user x lies in Home/x/Maildir
	Log  string // path of its log
}

// Dovecot starts a Dovecot with settings and data of its own on loopback ports,
// and stops it at the end of the test. Where Dovecot is missing the test is
// skipped, or fails when DESKD_TEST_SERVERS is "required".
func Dovecot(t testing.TB, o DovecotOptions) *DovecotServer {
	t.Helper()
	program, err := exec.LookPath("dovecot")
	if err != nil {
		if program = "/usr/sbin/dovecot"; !isFile(program) {
			missing(t, "dovecot is not installed")
		}
	}
	if !isFile("/usr/lib/dovecot/imap") {
		missing(t, "dovecot's IMAP server (package dovecot-imapd) is not installed")
	}
	// Not t.TempDir: its parent cannot be entered by the users that Dovecot's
	// processes run as, and sockets need short paths.
	dir, err := os.MkdirTemp("", "dovecot")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &DovecotServer{Home: filepath.Join(dir, "home"), Log: filepath.Join(dir, "log")}
	owner, internal, login := identity(t)
	for _, sub := range []string{dir, d.Home, filepath.Join(dir, "run")} {
		if err := os.MkdirAll(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(sub, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(d.Home, owner.uid, owner.gid); err != nil {
		t.Fatal(err)
	}
	ports := []string{porttest.Free(t), porttest.Free(t), porttest.Free(t)}
	d.IMAP, d.LMTP = address(ports[0]), address(ports[1])
	if o.CertFile != "" {
		d.TLS = address(ports[2])
	}
	file := filepath.Join(dir, "dovecot.conf")
	if err := os.WriteFile(file, []byte(o.config(dir, d, owner, internal, login, ports)), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command(program, "-F", "-c", file)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatalf("start dovecot: %v", err)
	}
	d.PID = cmd.Process.Pid
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			log, _ := os.ReadFile(d.Log)
			t.Logf("dovecot's log:\n%s", log[max(0, len(log)-4000):])
		}
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); ; {
		if conn, err := net.Dial("tcp", d.IMAP); err == nil {
			conn.Close()
			return d
		}
		select {
		case err := <-ended:
			ended <- err
			log, _ := os.ReadFile(d.Log)
			t.Fatalf("dovecot ended at once: %v\n%s\n%s", err, out.Bytes(), log)
		case <-deadline:
			t.Fatalf("dovecot does not answer\n%s", out.Bytes())
		case <-tick.C:
		}
	}
}

// Deliver hands a mail with CRLF lines over for Username the way an MTA does,
// by LMTP (RFC 2033).
func (d *DovecotServer) Deliver(t testing.TB, raw string) {
	t.Helper()
	conn, err := net.Dial("tcp", d.LMTP)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	talk := bytes.NewBufferString("LHLO localhost\r\nMAIL FROM:<>\r\nRCPT TO:<" + Username + ">\r\nDATA\r\n")
	for line := range strings.SplitSeq(strings.TrimSuffix(raw, "\r\n"), "\r\n") {
		if strings.HasPrefix(line, ".") {
			line = "." + line
		}
		talk.WriteString(line + "\r\n")
	}
	talk.WriteString(".\r\nQUIT\r\n")
	if _, err := conn.Write(talk.Bytes()); err != nil {
		t.Fatal(err)
	}
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(conn); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(answer.String(), "Saved") {
		t.Fatalf("dovecot did not take the mail:\n%s", answer.String())
	}
}

// config writes Dovecot 2.3's settings.
func (o DovecotOptions) config(dir string, d *DovecotServer, owner ids, internal, login string, ports []string) string {
	separator := o.Separator
	if separator == "" {
		separator = "/"
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("base_dir = %s/run", dir)
	line("state_dir = %s/run", dir)
	line("log_path = %s", d.Log)
	line("protocols = imap lmtp")
	line("listen = 127.0.0.1")
	line("default_internal_user = %s", internal)
	line("default_login_user = %s", login)
	line("first_valid_uid = 1\nfirst_valid_gid = 1")
	line("auth_mechanisms = plain login")
	line("disable_plaintext_auth = no")
	line("mail_location = maildir:~/Maildir")
	line("mail_max_userip_connections = 50")
	line("maildir_stat_dirs = yes")
	line("namespace inbox {\n inbox = yes\n separator = %s\n prefix = %s\n}", separator, o.Prefix)
	line("passdb {\n driver = static\n args = password=%s\n}", Password)
	line("userdb {\n driver = static\n args = uid=%d gid=%d home=%s/%%n allow_all_users=yes\n}", owner.uid, owner.gid, d.Home)
	if o.CertFile != "" {
		line("ssl = yes\nssl_cert = <%s\nssl_key = <%s", o.CertFile, o.KeyFile)
	} else {
		line("ssl = no")
	}
	tlsPort := "0"
	if d.TLS != "" {
		tlsPort = ports[2]
	}
	chroot := ""
	if os.Geteuid() != 0 {
		chroot = " chroot =\n"
		line("service anvil {\n chroot =\n}")
	}
	line("service imap-login {\n%s inet_listener imap {\n  port = %s\n }\n inet_listener imaps {\n  port = %s\n  ssl = yes\n }\n}", chroot, ports[0], tlsPort)
	line("service lmtp {\n inet_listener lmtp {\n  address = 127.0.0.1\n  port = %s\n }\n}", ports[1])
	line("protocol imap {\n mail_max_userip_connections = 50\n}")
	if caps := o.capability(); caps != "" {
		line("imap_capability = %s", caps)
	}
	return b.String()
}

// capability is what Dovecot then says that it can do; empty: the truth.
func (o DovecotOptions) capability() string {
	if !o.NoMove && !o.NoUIDPlus && !o.NoIdle {
		return ""
	}
	caps := "IMAP4rev1 SASL-IR LITERAL+ ENABLE NAMESPACE ID CHILDREN UNSELECT ESEARCH"
	if !o.NoMove {
		caps += " MOVE"
	}
	if !o.NoUIDPlus {
		caps += " UIDPLUS"
	}
	if !o.NoIdle {
		caps += " IDLE"
	}
	return caps
}

type ids struct{ uid, gid int }

// identity says as whom Dovecot's processes run: as separate users when root
// starts it, else as the one there is.
func identity(t testing.TB) (owner ids, internal, login string) {
	t.Helper()
	if os.Geteuid() == 0 {
		return ids{65534, 65534}, "dovecot", "dovenull"
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return ids{os.Getuid(), os.Getgid()}, me.Username, me.Username
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// missing ends a test for which a server is not installed.
func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("DESKD_TEST_SERVERS") == "required" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func address(port string) string { return net.JoinHostPort("127.0.0.1", port) }
