package configs

// brokenRow is a change to the minimal settings and what is said of it.
type brokenRow struct {
	name, old, new string
	want           []string // "line:column: key: what is wrong; how to mend it"
}

// brokenSettings is the table of TestF41. Where old is add, new is written at the
// end, from line 11 on.
func brokenSettings(add string) []brokenRow {
	const (
		server = "    server: imap.example.org\n"
		pass   = "    password: " + canary + "\n"
		smtp   = "  address: smtp.example.org:465\n"
		roster = "roster: [ann@example.org]"
	)
	return []brokenRow{
		{"sound", add, "", nil},
		{"sound with all kinds", add, "close_resolved_after: 1w2d3h\nlimits: {mail_size: 100 MB}\nrules: [{words: [1, true], tags: [x]}]\n", nil},
		{"empty file", minimal, "", []string{
			" mailboxes: missing; write at least one, such as {address: support@example.org, server: imap.example.org:993, password_file: mailbox.password}",
			" smtp: missing; write the server that takes outgoing mail, such as {address: smtp.example.org:465}",
			" teams: missing; write at least one, such as {name: Helpdesk, list: helpdesk@example.org, roster: [ann@example.org]}",
		}},
		{"only comments", minimal, "# hello\n", []string{
			" mailboxes: missing; write at least one, such as {address: support@example.org, server: imap.example.org:993, password_file: mailbox.password}",
			" smtp: missing; write the server that takes outgoing mail, such as {address: smtp.example.org:465}",
			" teams: missing; write at least one, such as {name: Helpdesk, list: helpdesk@example.org, roster: [ann@example.org]}",
		}},
		{"a list", minimal, "- a\n- b\n", []string{
			"1:1: a list stands where settings belong; begin like the example, with mailboxes:",
		}},
		{"a word", minimal, "hello\n", []string{
			"1:1: text stands where settings belong; begin like the example, with mailboxes:",
		}},
		{"unknown key", server, "    servr: imap.example.org\n", []string{
			"3:5: mailboxes[0].servr: unknown key; did you mean server?",
		}},
		{"people", add, "people:\n- {address: ann@example.org, aliases: [ann@example.net, ANN@example.net, support@example.org, bob]}\n- {address: joe@example.org}\n- {address: dan@example.org, aliases: [joe@example.org]}\n- {address: eve@example.org, aliases: [ann@example.org]}\n", []string{
			"12:57: people[0].aliases[1]: ANN@example.net stands at people[0].aliases[0] already; take one of them out",
			"12:74: people[0].aliases[2]: support@example.org is a support address (mailboxes[0].address), and nothing is ever sent there; write another",
			`12:95: people[0].aliases[3]: "bob" is no mail address; write one such as ann@example.org`,
			"13:3: people[1].aliases: missing; write the other addresses of joe@example.org, or take the person out",
			"14:40: people[2].aliases[0]: joe@example.org stands at people[1].address already; take one of them out",
			"15:40: people[3].aliases[0]: ann@example.org stands at people[0].address already; take one of them out",
		}},
		{"alias on a roster", add, "people: [{address: eve@example.org, aliases: [ann@example.org]}]\n", []string{
			"11:47: people[0].aliases[0]: ann@example.org is on a roster or an administrator; write the main address, eve@example.org, there",
		}},
		{"senders", add, "open_from: [example.org, .example.net, 'x y', support@example.org]\nblocked_senders: [ann@example.org, '*']\n", []string{
			`11:40: open_from[2]: "x y" is neither an address nor a domain; write one such as ann@example.org, example.org, or .example.org for all below it`,
			"11:47: open_from[3]: support@example.org is a support address (mailboxes[0].address), and nothing is ever sent there; write another",
			"12:19: blocked_senders[0]: ann@example.org works here, and cannot be blocked; take it out",
			`12:36: blocked_senders[1]: "*" is neither an address nor a domain; write one such as ann@example.org, example.org, or .example.org for all below it`,
		}},
		{"alerts", add, "heartbeat: 10s\nalerts: {after: 2d, mail: [support@example.org], webhook: 'http://chat.example.org/x', smtp: {address: relay}}\n", []string{
			"11:12: heartbeat: 10s is not between 1m and 24h; write for example 5m, or 0 for none",
			"12:17: alerts.after: 48h0m0s is not between 0 and 24h; leave it out for 5m",
			"12:28: alerts.mail[0]: support@example.org is a support address (mailboxes[0].address), and nothing is ever sent there; write another",
			"12:59: alerts.webhook: goes over the network unprotected; write https",
			`12:104: alerts.smtp.address: "relay" is not host:port; write for example mail.example.com:465`,
		}},
		{"alerts to nobody", add, "alerts: {webhook: 'chat', smtp: {address: 'relay.example.net:465'}}\npage: {monitor: '0.0.0.0:9090'}\n", []string{
			"11:9: alerts.mail: missing; write who is told through alerts.smtp",
			"11:19: alerts.webhook: this is no address of a webhook; write one such as https://chat.example.org/hooks/…",
			`12:17: page.monitor: other machines reach "0.0.0.0:9090", and nobody is asked who they are; write 127.0.0.1:9090, and reach it through a tunnel or a proxy that asks who is there`,
		}},
		{"strict about something unknown", add, "authentication: {servers: [mx], strict_for: [close, resolve]}\n", []string{
			`11:53: authentication.strict_for[1]: "resolve" is unknown; write close or batch`,
		}},
		{"unknown key with dash", add, "time-zone: UTC\n", []string{
			"11:1: time-zone: unknown key; did you mean time_zone?",
		}},
		{"unknown key of another place", add, "listen: 127.0.0.1:80\n", []string{
			"11:1: listen: unknown key here; it belongs where the example has it: page.listen",
		}},
		{"unknown key like nothing", add, "colour: red\n", []string{
			"11:1: colour: unknown key; known here: mailboxes, smtp, teams, administrators, authentication, page, name, subject_prefix, old_subject_prefixes, time_zone, language, languages, templates, default_team, default_priority, rules, own_lists, monitoring_senders, people, open_from, blocked_senders, close_resolved_after, limits, alerts, heartbeat, database, database_file, database_env, key_file, key_env, daemon, log",
		}},
		{"unknown key that may be a secret", pass, "    password:\n    " + canary + ": x\n", []string{
			"4:14: mailboxes[0].password: nothing stands here; give it a value, or take the key out",
			"5:5: mailboxes[0]: unknown key; known here: address, aliases, username, password, password_file, password_env, server, security, ca_file, folder, done, quarantine, import, poll, idle, full_search, reconcile, command_time, body_time, batch_mails, batch_bytes, max_mail",
		}},
		{"unknown key in a rule", add, "rules:\n  - word: [vpn]\n    priority: high\n", []string{
			"12:5: rules[0].word: unknown key; did you mean words?",
		}},
		{"key twice", add, "name: A\nname: B\n", []string{
			"12:1: name: stands here for the second time, first on line 11; keep one of them",
		}},
		{"number as key", add, "1: A\n", []string{
			"11:1: a key must be a plain word; known here: mailboxes, smtp, teams, administrators, authentication, page, name, subject_prefix, old_subject_prefixes, time_zone, language, languages, templates, default_team, default_priority, rules, own_lists, monitoring_senders, people, open_from, blocked_senders, close_resolved_after, limits, alerts, heartbeat, database, database_file, database_env, key_file, key_env, daemon, log",
		}},
		{"second document", add, "---\nname: B\n", []string{
			"11:1: a second document begins here and would be ignored; take out the line before it (--- or ...), or what follows",
		}},
		{"second document without text", add, "---\n", []string{
			"11:1: a second document begins here and would be ignored; take out the line before it (--- or ...), or what follows",
		}},
		{"text after the end of the document", add, "...\nname: B\n", []string{
			"12:1: a second document begins here and would be ignored; take out the line before it (--- or ...), or what follows",
		}},
		{"directive", "mailboxes:", "%YAML 1.2\n---\nmailboxes:", []string{
			"1:1: a %-line is not used in settings; take it out",
		}},
		{"tab", server, "\tserver: imap.example.org\n", []string{
			"3:1: found character '\t' that cannot start any token; indent with spaces, not with tabs",
		}},
		{"no space after colon", server, "    server:imap.example.org\n", []string{
			"3:5: non-map value is specified; put a space after the colon",
		}},
		{"open quote", pass, "    password: '" + canary + "\n", []string{
			"4:15: could not find end character of single-quoted text; close the quotes on the same line, or put the value into single quotes",
		}},
		{"open bracket", roster, "roster: [ann@example.org", []string{
			"10:13: sequence end token ']' not found; compare the line with the example, and how far it and the lines around it are indented",
		}},
		{"at sign", pass, "    password: @" + canary + "\n", []string{
			"4:15: '@' is a reserved character; put the value into single quotes",
		}},
		{"colon in a value", add, "name: a: b\n", []string{
			"11:7: mapping value is not allowed in this context; put the value into single quotes",
		}},
		{"wrong indent", server, "  server: imap.example.org\n", []string{
			"3:3: value is not allowed in this context; compare the line with the example, and how far it and the lines around it are indented",
		}},
		{"anchor", add, "name: &x Desk\n", []string{
			"11:7: name: anchors (&), references (*) and tags (!) are not used in settings; put text that begins so into quotes",
		}},
		{"alias", add, "name: *x\n", []string{
			"11:7: name: anchors (&), references (*) and tags (!) are not used in settings; put text that begins so into quotes",
		}},
		{"tag", add, "name: !!str 1\n", []string{
			"11:7: name: anchors (&), references (*) and tags (!) are not used in settings; put text that begins so into quotes",
		}},
		{"merge", add, "<<: {name: x}\n", []string{
			"11:1: a key must be a plain word; known here: mailboxes, smtp, teams, administrators, authentication, page, name, subject_prefix, old_subject_prefixes, time_zone, language, languages, templates, default_team, default_priority, rules, own_lists, monitoring_senders, people, open_from, blocked_senders, close_resolved_after, limits, alerts, heartbeat, database, database_file, database_env, key_file, key_env, daemon, log",
		}},
		{"not UTF-8", add, "name: \xff\n", []string{
			"11:7: the file is not UTF-8 text; save it as UTF-8",
		}},
		{"NUL", add, "name: a\x00b\n", []string{
			"11:8: the file is not UTF-8 text; save it as UTF-8",
		}},
		{"too deep", add, "rules: " + brackets(40) + "\n", []string{
			"11:40: more than 32 levels within one another; is it a settings file?",
		}},
		{"nothing after the colon", pass, "    password:\n", []string{
			"4:14: mailboxes[0].password: nothing stands here; give it a value, or take the key out",
		}},
		{"text for list", roster, "roster: ann@example.org", []string{
			"10:13: teams[0].roster: text stands where a list belongs; put it into [ ], or write each item on a line of its own that begins with a dash",
		}},
		{"text for group", add, "log: debug\n", []string{
			"11:6: log: text stands where settings belong; write them beneath, indented: level, format",
		}},
		{"list for text", add, "name: [a, b]\n", []string{
			"11:7: name: a list stands where one value belongs; write one line of text",
		}},
		{"group for text", add, "name: {a: b}\n", []string{
			"11:7: name: a group of settings stands where one value belongs; write one line of text",
		}},
		{"list for other values", add, "limits: {depth: [], mail_size: [], unauthenticated_interval: []}\nauthentication: {network: {}}\n", []string{
			"11:17: limits.depth: a list stands where one value belongs; write a number such as 10",
			"11:32: limits.mail_size: a list stands where one value belongs; write a size such as 25MiB",
			"11:62: limits.unauthenticated_interval: a list stands where one value belongs; write a span of time such as 5m",
			"12:27: authentication.network: a group of settings stands where one value belongs; write true or false",
		}},
		{"list for group", add, "page: [a]\n", []string{
			"11:7: page: a list stands where settings belong; write them beneath, indented: listen, tls_cert_file, tls_key_file, behind_proxy, proxies, user_header, monitor, hosts, url",
		}},
		{"text for flag", add, "authentication: {network: yes}\n", []string{
			`11:27: authentication.network: "yes" is neither true nor false; write one of these`,
		}},
		{"text for number", add, "limits: {depth: ten}\n", []string{
			`11:17: limits.depth: "ten" is no whole number; write one like 10`,
		}},
		{"fraction for number", add, "limits: {depth: 1.5}\n", []string{
			`11:17: limits.depth: "1.5" is no whole number; write one like 10`,
		}},
		{"duration without unit", add, "close_resolved_after: 7\n", []string{
			`11:23: close_resolved_after: "7" is no span of time; write a number and its unit, such as 30s, 5m, 12h or 7d`,
		}},
		{"duration of nonsense", server, server + "    poll: 5 minutes\n", []string{
			`4:11: mailboxes[0].poll: "5 minutes" is no span of time; write a number and its unit, such as 30s, 5m, 12h or 7d`,
		}},
		{"negative duration", add, "close_resolved_after: -7d\n", []string{
			`11:23: close_resolved_after: "-7d" is no span of time; write a number and its unit, such as 30s, 5m, 12h or 7d`,
		}},
		{"endless duration", add, "close_resolved_after: 99999999999d\n", []string{
			`11:23: close_resolved_after: "99999999999d" is no span of time; write a number and its unit, such as 30s, 5m, 12h or 7d`,
		}},
		{"size without unit", add, "limits: {mail_size: 25}\n", []string{
			`11:21: limits.mail_size: "25" is no size; write a whole number and its unit, such as 256KiB or 25MiB`,
		}},
		{"size of nonsense", server, server + "    batch_bytes: big\n", []string{
			`4:18: mailboxes[0].batch_bytes: "big" is no size; write a whole number and its unit, such as 256KiB or 25MiB`,
		}},
		{"no mailboxes", minimal, "smtp: {address: 'smtp.example.org:465', username: ''}\nteams: [{name: H, list: h@example.org}]\n", []string{
			" mailboxes: missing; write at least one, such as {address: support@example.org, server: imap.example.org:993, password_file: mailbox.password}",
		}},
		{"mailbox without anything", add, "page: {listen: ''}\nmailboxes_: x\n", []string{
			"12:1: mailboxes_: unknown key; did you mean mailboxes?",
		}},
		{"mailbox lacks server and password", server + pass, "", []string{
			"2:5: mailboxes[0].password: missing; write password_file: with the path of a file that holds it, or password_env:",
			"2:5: mailboxes[0].server: missing; give the IMAP server as host:port, for example imap.example.com:993",
		}},
		{"bad server", server, "    server: imap.example.org:imaps\n", []string{
			`3:13: mailboxes[0].server: "imap.example.org:imaps" is not host:port; write for example imap.example.com:993`,
		}},
		{"bad address", "support@example.org", "support", []string{
			`2:14: mailboxes[0].address: "support" is no mail address; write one such as ann@example.org`,
		}},
		{"address with name", "support@example.org", "Support <support@example.org>", []string{
			`2:14: mailboxes[0].address: "Support <support@example.org>" is more than an address; write support@example.org`,
		}},
		{"address beyond ASCII", "support@example.org", "support@exämple.org", []string{
			`2:14: mailboxes[0].address: "support@exämple.org" has letters beyond ASCII; write the domain in its xn-- form, and take a plain address`,
		}},
		{"mailbox twice", "smtp:", "  - {address: SUPPORT@example.org, server: other.example.org, password: x}\nsmtp:", []string{
			"5:15: mailboxes[1].address: support@example.org stands at mailboxes[0].address already; take one of them out",
		}},
		{"alias is a mailbox", "smtp:", "  - {address: b@example.org, aliases: [support@example.org], server: other.example.org, password: x}\nsmtp:", []string{
			"5:40: mailboxes[1].aliases[0]: support@example.org stands at mailboxes[0].address already; take one of them out",
		}},
		{"same account twice", "smtp:", "  - {address: b@example.org, username: support@example.org, server: imap.example.org, password: x}\nsmtp:", []string{
			"5:69: mailboxes[1].server: the same folder of the same account as mailboxes[0]; write the second address under its aliases",
		}},
		{"plaintext to elsewhere", server, server + "    security: none\n", []string{
			"4:15: mailboxes[0].security: none is for loopback addresses only, and imap.example.org is none; choose tls or starttls",
		}},
		{"plaintext for sending", smtp, smtp + "  security: none\n", []string{
			"7:13: smtp.security: none is for loopback addresses only, and smtp.example.org is none; choose tls or starttls",
		}},
		{"unknown security", server, server + "    security: ssl\n", []string{
			`4:15: mailboxes[0].security: "ssl" is unknown; choose tls, starttls or none`,
		}},
		{"idle too long", server, server + "    idle: 30m\n", []string{
			"4:11: mailboxes[0].idle: 30m0s is not between 10s and 1m45s, or a dead connection is noticed too late; leave it out for the default",
		}},
		{"two passwords", pass, pass + "    password_file: fine\n", []string{
			"5:5: mailboxes[0].password_file: stands beside password; keep one of them",
		}},
		{"password file missing", pass, "    password_file: none\n", []string{
			"4:20: mailboxes[0].password_file: none does not exist; create it, or mend the path",
		}},
		{"password file open to others", pass, "    password_file: wide\n", []string{
			"4:20: mailboxes[0].password_file: wide may be read or changed by others (mode 0644); run: chmod 600 wide",
		}},
		{"password file empty", pass, "    password_file: empty\n", []string{
			"4:20: mailboxes[0].password_file: empty is empty; write the secret into it",
		}},
		{"password file of two lines", pass, "    password_file: lines\n", []string{
			"4:20: mailboxes[0].password_file: lines has more than one line; it should hold the secret alone",
		}},
		{"password file too long", pass, "    password_file: long\n", []string{
			"4:20: mailboxes[0].password_file: long has more than 8192 bytes; it should hold the secret alone",
		}},
		{"password file is a folder", pass, "    password_file: .\n", []string{
			"4:20: mailboxes[0].password_file: DIR is no file; name the file that holds the secret",
		}},
		{"password variable not set", pass, "    password_env: NOPE\n", []string{
			"4:19: mailboxes[0].password_env: the environment variable NOPE is not set; set it for the daemon (Environment= or EnvironmentFile= in its unit), or take another form",
		}},
		{"password variable empty", pass, "    password_env: EMPTY\n", []string{
			"4:19: mailboxes[0].password_env: the environment variable EMPTY is empty; give it the secret",
		}},
		{"password in the variable's place", pass, "    password_env: " + canary + "\n", []string{
			"4:19: mailboxes[0].password_env: is no name of an environment variable; write its name alone, such as DESKD_PASSWORD, and not the secret",
		}},
		{"what may be a password in the variable's place", pass, "    password_env: hunter_two\n", []string{
			"4:19: mailboxes[0].password_env: names an environment variable that is not set; write its name alone, such as DESKD_PASSWORD, and set it for the daemon",
		}},
		{"password by variable", pass, "    password: ${NOPE}\n", []string{
			"4:15: mailboxes[0].password: the environment variable NOPE is not set; set it for the daemon (Environment= or EnvironmentFile= in its unit), or take another form",
		}},
		{"no smtp", "smtp:\n" + smtp, "", []string{
			" smtp: missing; write the server that takes outgoing mail, such as {address: smtp.example.org:465}",
		}},
		{"smtp without address", smtp, "  hello: desk\n", []string{
			"6:3: smtp.address: missing; give the submission server as host:port, for example mail.example.com:465",
		}},
		{"smtp without port", smtp, "  address: smtp.example.org\n", []string{
			`6:12: smtp.address: "smtp.example.org" is not host:port; write for example mail.example.com:465`,
		}},
		{"smtp as another user", smtp, smtp + "  username: robot\n", []string{
			`6:3: smtp.password: missing; write password_file: with the path of a file that holds the password of robot, or username: "" for a server that asks for none`,
		}},
		{"roots missing", smtp, smtp + "  ca_file: none.pem\n", []string{
			"7:12: smtp.ca_file: none.pem does not exist; create it, or mend the path",
		}},
		{"roots are none", smtp, smtp + "  ca_file: no.pem\n", []string{
			"7:12: smtp.ca_file: no.pem holds no certificate in PEM form; convert it with: openssl x509 -inform der -in FILE",
		}},
		{"no teams", "teams:\n  - name: Helpdesk\n    list: helpdesk@example.org\n    " + roster + "\n", "", []string{
			" teams: missing; write at least one, such as {name: Helpdesk, list: helpdesk@example.org, roster: [ann@example.org]}",
		}},
		{"team without name and list", add, "  - roster: []\n", []string{
			"11:5: teams[1].name: missing; write one such as Helpdesk",
			"11:5: teams[1].list: missing; write the address that reaches the whole team",
		}},
		{"team twice", add, "  - {name: HELPDESK, list: b@example.org}\n", []string{
			`11:12: teams[1].name: "HELPDESK" is the name of teams[0] already; give each team its own`,
		}},
		{"team list is a support address", "helpdesk@example.org", "support@example.org", []string{
			"9:11: teams[0].list: support@example.org is a support address (mailboxes[0].address), and nothing is ever sent there; write another",
		}},
		{"roster has a support address", roster, "roster: [ann@example.org, Support+x@Example.org]", []string{
			"10:31: teams[0].roster[1]: Support+x@Example.org is a support address (mailboxes[0].address), and nothing is ever sent there; write another",
		}},
		{"roster has nonsense", roster, "roster: [ann]", []string{
			`10:14: teams[0].roster[0]: "ann" is no mail address; write one such as ann@example.org`,
		}},
		{"roster has somebody twice", roster, "roster: [ann@example.org, ANN@example.org]", []string{
			"10:31: teams[0].roster[1]: ANN@example.org stands at teams[0].roster[0] already; take one of them out",
		}},
		{"administrator is a support address", add, "administrators: [support@example.org]\n", []string{
			"11:18: administrators[0]: support@example.org is a support address (mailboxes[0].address), and nothing is ever sent there; write another",
		}},
		{"unknown default team", add, "default_team: Helpdeks\n", []string{
			`11:15: default_team: there is no team "Helpdeks"; teams are Helpdesk`,
		}},
		{"unknown default priority", add, "default_priority: urgent\n", []string{
			`11:19: default_priority: "urgent" is no priority; write critical, high, medium or low`,
		}},
		{"rule with unknown team and priority", add, "rules:\n  - words: [vpn]\n    priority: urgent\n    team: Networks\n", []string{
			`13:15: rules[0].priority: "urgent" is no priority; write critical, high, medium or low`,
			`14:11: rules[0].team: there is no team "Networks"; teams are Helpdesk`,
		}},
		{"rule that does not compile", add, "rules:\n  - words: [vpn, '/(/']\n    priority: high\n", []string{
			"12:18: rules[0].words[1]: /(/: error parsing regexp: missing closing ): `(?i)(` (RE2 syntax)",
		}},
		{"rule without words", add, "rules:\n  - priority: high\n", []string{
			"12:5: rules[0].words: empty; name at least one word, phrase or /expression/",
		}},
		{"rule that sets nothing", add, "rules:\n  - words: [vpn]\n", []string{
			"12:5: rules[0]: sets nothing; give it a priority, team, assignee, tags or action",
		}},
		{"rule with unknown place and action", add, "rules:\n  - words: [vpn]\n    in: [body]\n    action: delete\n", []string{
			`13:10: rules[0].in[0]: "body" is no place; write subject, text, sender, domain, recipient, attachment or header:NAME`,
			`14:13: rules[0].action: "delete" is no action; write ignore or spam, or leave it out`,
		}},
		{"rule with a stranger as assignee", add, "rules:\n  - words: [vpn]\n    assignee: eve@example.net\n", []string{
			"13:15: rules[0].assignee: eve@example.net is on no team's roster; add it there, or name somebody who is",
		}},
		{"rules left open", add, "rules:\n", []string{
			"11:8: rules: nothing stands here; write [] for none, or take the key out",
		}},
		{"server's name", add, "authentication: {servers: ['mx example'], borders: ['']}\n", []string{
			`11:28: authentication.servers[0]: "mx example" is no server's name; write it as it stands in the mail's header, such as mx.example.org`,
			`11:53: authentication.borders[0]: "" is no server's name; write it as it stands in the mail's header, such as mx.example.org`,
		}},
		{"bad zone", add, "time_zone: Vienna\n", []string{
			`11:12: time_zone: "Vienna" is no time zone; write its IANA name, such as Europe/Vienna or UTC`,
		}},
		{"local zone", add, "time_zone: Local\n", []string{
			`11:12: time_zone: "Local" is no time zone; write its IANA name, such as Europe/Vienna or UTC`,
		}},
		{"page for the world", add, "page: {listen: '0.0.0.0:80'}\n", []string{
			`11:16: page.listen: other machines reach "0.0.0.0:80", and could read along; write tls_cert_file and tls_key_file, or 127.0.0.1:80 with a web server before it and behind_proxy: true`,
		}},
		{"page for the world without a name", add, "page: {listen: '0.0.0.0:80', behind_proxy: true}\n", []string{
			"11:7: page.url: missing; write where people find the page, such as https://desk.example.org: the links to sign in lead there",
		}},
		{"half a certificate", add, "page: {tls_cert_file: page.pem}\n", []string{
			"11:23: page.tls_cert_file: page.pem does not exist; create it, or mend the path",
		}},
		{"bad proxies", add, "page: {proxies: [desk], user_header: 'X User'}\n", []string{
			`11:18: page.proxies[0]: "desk" is no address; write one such as 10.0.0.7, or a network such as 10.0.0.0/24`,
			`11:38: page.user_header: "X User" is no name of a header field; write one such as X-Forwarded-User`,
		}},
		{"bad listen", add, "page: {listen: 8080}\n", []string{
			`11:16: page.listen: "8080" is not host:port; write 127.0.0.1:8080, or "" for no page`,
		}},
		{"bad hosts and url", add, "page: {hosts: ['https://desk'], url: desk.example.org}\n", []string{
			`11:16: page.hosts[0]: "https://desk" is no host name; write one such as desk.example.org`,
			"11:38: page.url: not the page's address; write one such as https://desk.example.org",
		}},
		{"bad prefix", add, "subject_prefix: IT-Desk\nold_subject_prefixes: ['', HELPDESK2026]\n", []string{
			`11:17: subject_prefix: "IT-Desk" cannot stand in the subject tag; write 1 to 10 letters A–Z or digits, such as IT`,
			`12:24: old_subject_prefixes[0]: "" cannot stand in the subject tag; write 1 to 10 letters A–Z or digits, such as IT`,
			`12:28: old_subject_prefixes[1]: "HELPDESK2026" cannot stand in the subject tag; write 1 to 10 letters A–Z or digits, such as IT`,
		}},
		{"name of two lines", add, "name: \"a\\nb\"\n", []string{
			"11:7: name: has line ends or other control characters; write one plain line",
		}},
		{"empty name", add, "name: ''\n", []string{
			"11:7: name: empty; write one such as IT Service Desk",
		}},
		{"list of our own", add, "own_lists: ['a b', support@example.org]\nmonitoring_senders: [nagios]\n", []string{
			`11:13: own_lists[0]: "a b" is neither a list's address nor its List-Id; write one such as all@example.org or all.lists.example.org`,
			"11:20: own_lists[1]: support@example.org is a support address (mailboxes[0].address), and nothing is ever sent there; write another",
			`12:22: monitoring_senders[0]: "nagios" is no mail address; write one such as ann@example.org`,
		}},
		{"languages", add, "language: fr\nlanguages: {example.de: deutsch, 'a b': de, Example.DE: de}\n", []string{
			`11:11: language: "fr" is unknown; write en or de`,
			`12:25: languages[example.de]: "deutsch" is unknown; write en or de`,
			`12:41: languages[a b]: "a b" is no domain; write the part of the recipients' addresses after the @, such as example.de`,
			"12:45: languages: names one thing twice; keep one of them",
		}},
		{"languages as a list", add, "languages: [de]\n", []string{
			"11:12: languages: a list stands where pairs belong; write them beneath, indented, each as NAME: VALUE",
		}},
		{"templates missing", add, "templates: none\n", []string{
			"11:12: templates: none does not exist; make the folder, or mend the path",
		}},
		{"templates that are wrong", add, "templates: words\n", []string{
			"11:12: templates: words/reply.txt:2: bad character U+007D '}'; mend it, or remove the file to have the built-in one",
			"11:12: templates: words/de/team-notice.txt:1: a mail to technicians must begin with the line {{.Delimiter}}; mend it, or remove the file to have the built-in one",
		}},
		{"signing without its key", smtp, smtp + "  dkim: {domain: example.org}\n", []string{
			"7:9: smtp.dkim.selector: missing; write one such as desk2026",
			"7:9: smtp.dkim.key_file: missing; name a PEM file with the private key; make one with: openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048",
		}},
		{"signing key open to others", smtp, smtp + "  dkim: {domain: example.org, selector: a, key_file: wide}\n", []string{
			"7:54: smtp.dkim.key_file: wide may be read or changed by others (mode 0644); run: chmod 600 wide",
		}},
		{"signing key of another kind", smtp, smtp + "  dkim: {domain: example.org, selector: a, key_file: fine}\n", []string{
			"7:54: smtp.dkim.key_file: fine holds no private key (RSA or Ed25519) in PEM form; make one with: openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048",
		}},
		{"closing too soon", add, "close_resolved_after: 5m\n", []string{
			"11:23: close_resolved_after: 5m is too short for an answer; write 1h or more, or 0 for never",
		}},
		{"limits too wide", add, "limits:\n  depth: 100\n  header_size: 1MiB\n  answers_per_hour: 0\n  unauthenticated_interval: 2d\n", []string{
			"12:10: limits.depth: 100 is not between 3 and 20; write a number in between, or take the key out",
			"13:16: limits.header_size: 1MiB is not between 4KiB and 256KiB; write a size in between, or take the key out",
			"14:21: limits.answers_per_hour: 0 is not between 1 and 100000; write a number in between, or take the key out",
			"15:29: limits.unauthenticated_interval: 48h is longer than a day; write one such as 5m",
		}},
		{"max_mail beyond the limit", server, server + "    max_mail: 30MiB\n", []string{
			"4:15: mailboxes[0].max_mail: more than limits.mail_size, 25MiB, allows; raise that one first",
		}},
		{"other database", add, "database: mysql://db\n", []string{
			"11:11: database: only postgres:// can stand before ://; write a file's name for SQLite",
		}},
		{"bad database URL", add, "database: 'postgres://u:" + canary + "%zz@h/db'\n", []string{
			"11:11: database: not a URL; write postgres://user@host/name, and characters such as / # % of a password as %2F %23 %25",
		}},
		{"database variable not set", add, "database: postgres://u:${NOPE}@h/db\n", []string{
			"11:11: database: the environment variable NOPE is not set; set it for the daemon (Environment= or EnvironmentFile= in its unit), or take another form",
		}},
		{"database is a folder", add, "database: .\n", []string{
			"11:11: database: DIR is a folder; name a file in it, such as deskd.db",
		}},
		{"database file with parameters", add, "database: 'file:desk.db?mode=ro'\n", []string{
			"11:11: database: parameters and escapes of a file: URL are not understood; write the file's name alone, such as deskd.db",
		}},
		{"two databases", add, "database: a.db\ndatabase_env: FINE\n", []string{
			"12:1: database_env: stands beside database; keep one of them",
		}},
		{"two keys", add, "key_file: a.key\nkey_env: FINE\n", []string{
			"12:1: key_env: stands beside key_file; keep one of them",
		}},
		{"key open to others", add, "key_file: wide\n", []string{
			"11:11: key_file: wide may be read or changed by others (mode 0644); run: chmod 600 wide",
		}},
		{"key too short", add, "key_file: weak.key\n", []string{
			"11:11: key_file: weak.key holds a key of 3 bytes, fewer than 32; make one with: openssl rand -hex 32",
		}},
		{"key of another kind", add, "key_file: odd.key\n", []string{
			"11:11: key_file: odd.key holds neither hex nor base64; make a key with: openssl rand -hex 32",
		}},
		{"key variable too short", add, "key_env: WEAK\n", []string{
			"11:10: key_env: the environment variable WEAK holds a key of 3 bytes, fewer than 32; make one with: openssl rand -hex 32",
		}},
		{"key variable not set", add, "key_env: NOPE\n", []string{
			"11:10: key_env: the environment variable NOPE is not set; set it for the daemon (Environment= or EnvironmentFile= in its unit), or take another form",
		}},
		{"log", add, "log: {level: verbose, format: xml}\n", []string{
			`11:14: log.level: "verbose" is unknown; write debug, info, warn or error`,
			`11:31: log.format: "xml" is unknown; write text or json`,
		}},
		{"three faults at once", roster, "roster: [ann]\nlog: {levl: info}\ntime_zone: Vienna", []string{
			`10:14: teams[0].roster[0]: "ann" is no mail address; write one such as ann@example.org`,
			"11:7: log.levl: unknown key; did you mean level?",
			`12:12: time_zone: "Vienna" is no time zone; write its IANA name, such as Europe/Vienna or UTC`,
		}},
	}
}

func brackets(n int) string {
	s := ""
	for range n {
		s = "[" + s + "]"
	}
	return s
}
