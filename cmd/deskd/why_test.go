package main

import (
	"encoding/json"
	"strings"
	"testing"

	"deskd/cmd/internal/demomail"
	"deskd/store"
)

func TestWhySaysWhatBecameOfAMailAndOfATicket(t *testing.T) {
	t.Parallel()
	s := demoSystem(t, demomail.Options{})
	settings := settingsFor(t, s, "deskd.db", "")
	start(t, settings)
	ann, noah := s.open(t, "ann@example.com"), s.open(t, "noah@example.com")
	support := []string{"support@example.com"}
	first := letter("ann@example.com", "support@example.com", "VPN drops \x1b[2J", "Since this morning.")
	s.send(t, "ann@example.com", support, first)
	ack := ann.wait("an acknowledgement", with("VPN drops"))
	number := tagForm.FindStringSubmatch(ack.subject())[1]
	_, id, _ := strings.Cut(first, "Message-ID: ")
	id, _, _ = strings.Cut(id, "\n")
	says(t, exitDone, []string{"why", id, "--config", settings}, "Fate       new_ticket (new-request)", "Ticket     IT-"+number, `rule "vpn"`,
		"From       ann@example.com", "Sender     stranger, proven by ", "Mail       acknowledge", ", decided 2", "VPN drops")
	says(t, exitDone, []string{"why", strings.Trim(ack.header.Get("Message-ID"), "<>"), "--config", settings},
		"acknowledgement to ann@example.com", "State      sent, 1 attempts", "Answer     2.0.0 OK", "Because of the mail in 1")

	notice := noah.wait("a notice", with("[IT-"+number+"]"))
	s.send(t, "noah@example.com", support, notice.answer("noah@example.com", "take\n#resolvd"))
	noah.wait("an answer to the mistyped command", with("#resolvd"))
	until(t, "all is sent", func() bool {
		return strings.Contains(says(t, exitDone, []string{"why", number, "--config", settings}), "command error to noah")
	})
	timeline := says(t, exitDone, []string{"why", "IT-" + number, "--config", settings},
		"Sender     technician, proven by ", `Not valid  #resolvd: there is no command "resolvd"`, "possible: did you mean")
	if strings.Index(timeline, "new_ticket") > strings.Index(timeline, "acknowledgement to ann") ||
		strings.Index(timeline, "acknowledgement to ann") > strings.Index(timeline, "appended (command-error)") {
		t.Errorf("not in the order of time:\n%s", timeline)
	}
	out, code := command(t, "why", number, "--json", "--config", settings)
	var v struct {
		In []struct {
			Fate store.Fate
			Why  struct{ Sender struct{ Address string } }
		}
		Out []went
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil || code != 0 || len(v.In) != 2 || v.In[1].Why.Sender.Address != "noah@example.com" || len(v.Out) < 3 {
		t.Errorf("exit code %d, %v, got %+v\n%s", code, err, v, out)
	}
	says(t, exitFailed, []string{"why", "<nobody@example.net>", "--config", settings}, "no mail with that Message-ID")
	says(t, exitFailed, []string{"why", "99999", "--config", settings}, "there are no mails of a ticket 99999")
	says(t, exitUsage, []string{"why", "<>", "--config", settings}, "write a Message-ID")
}
