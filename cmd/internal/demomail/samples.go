package demomail

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"
)

// Sample is a mail to support@example.com, to try a desk with.
type Sample struct {
	From    string // the address in From, which is also the envelope sender and who logs in
	Subject string // decoded
	Raw     []byte
	Outside bool // comes from outside: nobody logs in
}

// Samples returns a morning's mail of a small company: each rule that the desk
// is shipped with, mails that no rule knows, an HTML mail with a picture, an
// automatic answer that opens no ticket, and one from outside. Dates are those
// of now and Message-IDs are new at every call, so that a desk which keeps its
// database takes them as new mails the next day.
func Samples() []Sample {
	now := time.Now()
	return []Sample{
		outage(now.Add(-19 * time.Minute)),
		tunnel(now.Add(-16 * time.Minute)),
		stripes(now.Add(-14 * time.Minute)),
		forgotten(now.Add(-11 * time.Minute)),
		monitor(now.Add(-9 * time.Minute)),
		crash(now.Add(-6 * time.Minute)),
		vacation(now.Add(-4 * time.Minute)),
		supplier(now.Add(-2 * time.Minute)),
	}
}

// outage: server, down → critical, System Administrator.
func outage(at time.Time) Sample {
	const from, subject = "omar.haddad@example.com", "File server is down, all of Accounts is stuck"
	return Sample{From: from, Subject: subject, Raw: letter(
		header("Omar Haddad", from, subject, at)+
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n"+
			"X-Mailer: Apple Mail (2.3776)\nImportance: high\n",
		`Hi,

since about 8:40 nobody in Accounts can open the share \\files\accounts.
Explorer says "the network path was not found". We are six people and the
month-end run has to be at the bank by noon.

Restarting my own machine changed nothing.

Omar Haddad
Accounts, ext. 214
`)}
}

// tunnel: vpn → high, Network Team.
func tunnel(at time.Time) Sample {
	const from, subject = "lena.fischer@example.com", "VPN drops every ten minutes"
	return Sample{From: from, Subject: subject, Raw: letter(
		header("Lena Fischer", from, subject, at)+
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n"+
			"User-Agent: Mozilla Thunderbird\n",
		`Hello,

I work from home today and the VPN throws me out every ten minutes or so. It
connects again by itself after a while, but every call I am in is lost.

Yesterday it was fine. Same laptop, same Wi-Fi, and the internet itself keeps
working while the VPN is away.

Thanks
Lena

-- 
Lena Fischer | Sales | +49 30 555 0142
`)}
}

// stripes: printer → medium, Desktop Support; umlauts and format=flowed.
func stripes(at time.Time) Sample {
	const from, subject = "juergen.koehler@example.com", "Printer im 3. Stock: alles grün und gestreift"
	return Sample{From: from, Subject: subject, Raw: letter(
		header("Jürgen Köhler", from, subject, at)+
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8; format=flowed\nContent-Transfer-Encoding: 8bit\n"+
			"Content-Language: de-DE\nUser-Agent: Mozilla Thunderbird\n",
		`Guten Morgen, 

the printer next to the kitchen on the third floor (sticker PRN-3-07) has 
been printing green stripes over every page since yesterday afternoon. Toner 
was changed on Monday, but „die Trommel“ looks scratched to me.

For now we walk to the second floor, so it is not urgent. Schöne Grüße vom 
Flur!

Jürgen Köhler

-- 
Jürgen Köhler
Einkauf · Büro 3.12
`)}
}

// forgotten: password → low, Helpdesk.
func forgotten(at time.Time) Sample {
	const from, subject = "priya.nair@example.com", "Forgot my password :("
	return Sample{From: from, Subject: subject, Raw: letter(
		header("Priya Nair", from, subject, at)+
			"MIME-Version: 1.0 (1.0)\nContent-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: 7bit\n"+
			"X-Mailer: iPhone Mail (22B91)\n",
		`Two weeks of holiday and my Windows password is gone from my head. Could you
reset it please? I am at my desk until five. No hurry, I can do phone calls.

Priya

Sent from my iPhone
`)}
}

// monitor: no rule → medium, Helpdesk.
func monitor(at time.Time) Sample {
	const from, subject = "tom.okafor@example.com", "Second monitor for the new desk"
	return Sample{From: from, Subject: subject, Raw: letter(
		header("Tom Okafor", from, subject, at)+
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n",
		`Hi all,

I moved to desk 2.21 last week and there is only one screen here. My old desk
had two, and I compare drawings all day. Could I get a second one, and the
cable for it? Any size will do.

Best
Tom
`)}
}

// crash: an HTML mail as Outlook writes it, with a picture attached.
func crash(at time.Time) Sample {
	const from, subject = "marta.silva@example.com", "Excel closes itself when I open the forecast"
	const boundary = "_004_DB9PR07MB8123demo_"
	var html bytes.Buffer
	w := quotedprintable.NewWriter(&html)
	fmt.Fprint(w, strings.ReplaceAll(`<html xmlns:o="urn:schemas-microsoft-com:office:office" xmlns="http://www.w3.org/TR/REC-html40">
<head><meta http-equiv="Content-Type" content="text/html; charset=utf-8">
<style><!-- p.MsoNormal, li.MsoNormal {margin:0cm; font-size:11.0pt; font-family:"Aptos",sans-serif;} --></style>
</head>
<body lang="EN-GB" style="word-wrap:break-word">
<div class="WordSection1">
<p class="MsoNormal">Hi IT,<o:p></o:p></p>
<p class="MsoNormal"><o:p>&nbsp;</o:p></p>
<p class="MsoNormal">every time I open <b>Forecast 2027.xlsx</b> the window goes white for some seconds and then Excel is gone. Other workbooks are fine. The box in the picture comes up just before:<o:p></o:p></p>
<ul><li class="MsoNormal">happens since the update on Friday</li><li class="MsoNormal">Célia’s laptop opens the same file without trouble</li></ul>
<p class="MsoNormal">I need it for the meeting at two. Thank you!<o:p></o:p></p>
<p class="MsoNormal"><o:p>&nbsp;</o:p></p>
<p class="MsoNormal"><b>Marta Silva</b><br>Controlling</p>
</div>
</body>
</html>
`, "\n", "\r\n"))
	if err := w.Close(); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	body := "--" + boundary + "\nContent-Type: text/html; charset=\"utf-8\"\nContent-Transfer-Encoding: quoted-printable\n\n" +
		html.String() +
		"\n--" + boundary + "\nContent-Type: image/png; name=\"image001.png\"\nContent-Description: image001.png\n" +
		"Content-Disposition: attachment; filename=\"image001.png\"\nContent-Transfer-Encoding: base64\n\n" +
		wrap(base64.StdEncoding.EncodeToString(dialog())) +
		"\n--" + boundary + "--\n"
	return Sample{From: from, Subject: subject, Raw: letter(
		header("Marta Silva", from, subject, at)+
			"Thread-Topic: "+subject+"\nThread-Index: AdxDemoB0c2FtcGxlIHRocmVhZA==\nAccept-Language: en-GB\nContent-Language: en-GB\n"+
			"X-MS-Has-Attach: yes\nX-MS-TNEF-Correlator:\nMIME-Version: 1.0\n"+
			"Content-Type: multipart/mixed;\n\tboundary=\""+boundary+"\"\n",
		body)}
}

// vacation: an automatic answer, which opens no ticket.
func vacation(at time.Time) Sample {
	const from, subject = "ines.moreau@example.com", "Automatic reply: Planned maintenance on Saturday"
	return Sample{From: from, Subject: subject, Raw: letter(
		header("Inès Moreau", from, subject, at)+
			"Auto-Submitted: auto-replied\nX-Auto-Response-Suppress: All\nPrecedence: bulk\n"+
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n",
		`Thank you for your message. I am out of the office until Monday and will
read it then. For the Lyon branch please ask Hugo Blanc.

Inès Moreau
`)}
}

// supplier: from outside, so nothing vouches for its sender.
func supplier(at time.Time) Sample {
	const from, subject = "sam.porter@example.net", "Delivery of your docking stations (order 20418)"
	return Sample{From: from, Subject: subject, Outside: true, Raw: letter(
		header("Sam Porter", from, subject, at)+
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n",
		`Dear customer,

your twelve docking stations are ready and can be with you on Thursday between
9 and 12. Is there somebody at the goods entrance who can sign for them?

Kind regards
Sam Porter
Porter Office Supplies
`)}
}

// header returns the fields that every mail has.
func header(name, from, subject string, at time.Time) string {
	return "From: " + mime.QEncoding.Encode("utf-8", name) + " <" + from + ">\n" +
		"To: IT Support <support@example.com>\n" +
		"Subject: " + mime.QEncoding.Encode("utf-8", subject) + "\n" +
		"Date: " + at.Format(time.RFC1123Z) + "\n" +
		"Message-ID: <" + rand.Text() + from[strings.IndexByte(from, '@'):] + ">\n"
}

// letter joins header and body and writes the line endings of mail.
func letter(header, body string) []byte { return normalise([]byte(header + "\n" + body)) }

// wrap breaks base64 into lines (RFC 2045, section 6.8).
func wrap(s string) string {
	var b strings.Builder
	for len(s) > 76 {
		b.WriteString(s[:76] + "\n")
		s = s[76:]
	}
	return b.String() + s
}

// dialog draws the picture that is attached: an error box, from afar.
func dialog() []byte {
	img := image.NewPaletted(image.Rect(0, 0, 240, 96), color.Palette{
		color.RGBA{0xf3, 0xf3, 0xf3, 0xff},
		color.RGBA{0x1f, 0x6f, 0x43, 0xff},
		color.RGBA{0xc4, 0x2b, 0x1c, 0xff},
		color.RGBA{0x60, 0x60, 0x60, 0xff},
		color.RGBA{0xff, 0xff, 0xff, 0xff},
	})
	fill := func(r image.Rectangle, c uint8) {
		for y := r.Min.Y; y < r.Max.Y; y++ {
			for x := r.Min.X; x < r.Max.X; x++ {
				img.SetColorIndex(x, y, c)
			}
		}
	}
	fill(image.Rect(0, 0, 240, 18), 1)    // title bar
	fill(image.Rect(224, 4, 234, 14), 4)  // close button
	fill(image.Rect(14, 32, 38, 56), 2)   // stop sign
	fill(image.Rect(52, 34, 216, 40), 3)  // first line of text
	fill(image.Rect(52, 46, 180, 52), 3)  // second line
	fill(image.Rect(176, 72, 228, 88), 3) // the button
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	return b.Bytes()
}
