package demomail

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	gomessage "github.com/emersion/go-message"
	"github.com/emersion/go-message/textproto"
)

// Fetch writes what is asked for of each mail. It works on a snapshot: while a
// slow client reads, mail goes on coming in.
func (c *session) Fetch(w *imapserver.FetchWriter, set imap.NumSet, options *imap.FetchOptions) error {
	type shot struct {
		seq     uint32
		uid     imap.UID
		raw     []byte
		flags   []imap.Flag
		arrived time.Time
	}
	unlock := c.lock()
	var shots []shot
	touched := false
	for _, i := range c.pick(set) {
		m := c.view[i].m
		if reads(options) && !c.readOnly && m.store(imap.StoreFlagsAdd, map[string]imap.Flag{`\seen`: imap.FlagSeen}) {
			touched = true // told by the next Poll, to this client too
		}
		shots = append(shots, shot{uint32(i) + 1, m.uid, m.raw, flagList(m.flags), m.arrived})
	}
	if touched {
		c.server.stock.touch(c.box)
	}
	unlock()

	for _, s := range shots {
		out := w.CreateMessage(s.seq)
		err := func() error {
			if options.UID {
				out.WriteUID(s.uid)
			}
			if options.Flags {
				out.WriteFlags(s.flags)
			}
			if options.InternalDate {
				out.WriteInternalDate(s.arrived)
			}
			if options.RFC822Size {
				out.WriteRFC822Size(int64(len(s.raw)))
			}
			if options.Envelope {
				h, _ := readHeader(s.raw)
				out.WriteEnvelope(imapserver.ExtractEnvelope(h))
			}
			if options.BodyStructure != nil {
				h, body := readHeader(s.raw)
				out.WriteBodyStructure(structure(h, body, 0))
			}
			for _, item := range options.BodySection {
				if err := literal(out.WriteBodySection, item, section(s.raw, item)); err != nil {
					return err
				}
			}
			for _, item := range options.BinarySection {
				if err := literal(out.WriteBinarySection, item, binarySection(s.raw, item)); err != nil {
					return err
				}
			}
			for _, item := range options.BinarySectionSize {
				n := len(binarySection(s.raw, &imap.FetchItemBinarySection{Part: item.Part}))
				out.WriteBinarySectionSize(item, uint32(n))
			}
			return nil
		}()
		// Always closed: until then nothing else can be written to the client.
		if closeErr := out.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// reads says whether a client reads mails rather than peeking at them.
func reads(options *imap.FetchOptions) bool {
	for _, item := range options.BodySection {
		if !item.Peek {
			return true
		}
	}
	for _, item := range options.BinarySection {
		if !item.Peek {
			return true
		}
	}
	return false
}

func literal[T any](begin func(T, int64) io.WriteCloser, item T, b []byte) error {
	w := begin(item, int64(len(b)))
	_, err := w.Write(b)
	if closeErr := w.Close(); err == nil {
		err = closeErr
	}
	return err
}

// maxDepth is how many parts within parts are looked at. Reading deeper takes
// time that grows with the square of the depth.
const maxDepth = 20

// section returns a piece of a mail. What belongs to the whole mail is cut out
// of its bytes, so that a mail with a broken header comes out as it went in.
func section(raw []byte, item *imap.FetchItemBodySection) []byte {
	if len(item.Part) > maxDepth {
		return nil
	}
	var b []byte
	switch {
	case len(item.Part) > 0:
		whole := *item
		whole.Partial = nil
		b = imapserver.ExtractBodySection(bytes.NewReader(raw), &whole)
	case item.Specifier == imap.PartSpecifierNone:
		b = raw
	case item.Specifier == imap.PartSpecifierText:
		_, b = splitMail(raw)
	default:
		b, _ = splitMail(raw)
		if len(item.HeaderFields)+len(item.HeaderFieldsNot) > 0 {
			b = pickFields(b, item.HeaderFields, item.HeaderFieldsNot)
		}
	}
	return partial(b, item.Partial)
}

func binarySection(raw []byte, item *imap.FetchItemBinarySection) []byte {
	if len(item.Part) > maxDepth {
		return nil
	}
	whole := *item
	whole.Partial = nil
	return partial(imapserver.ExtractBinarySection(bytes.NewReader(raw), &whole), item.Partial)
}

func partial(b []byte, p *imap.SectionPartial) []byte {
	if p == nil {
		return b
	}
	start := min(max(p.Offset, 0), int64(len(b)))
	return b[start : start+min(max(p.Size, 0), int64(len(b))-start)]
}

// splitMail cuts a mail into its header, the empty line included, and its body.
func splitMail(raw []byte) (header, body []byte) {
	for end := 0; end < len(raw); {
		i := bytes.IndexByte(raw[end:], '\n')
		if i < 0 {
			break
		}
		line := raw[end : end+i+1]
		end += i + 1
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return raw[:end], raw[end:]
		}
	}
	return raw, nil
}

// pickFields returns the named fields of a header, or all but those, with an
// empty line at the end.
func pickFields(header []byte, only, not []string) []byte {
	names := map[string]bool{}
	for _, n := range append(only, not...) {
		names[strings.ToLower(n)] = true
	}
	var b []byte
	for len(header) > 0 && len(bytes.TrimRight(header[:min(2, len(header))], "\r\n")) > 0 {
		field := nextField(header)
		header = header[len(field):]
		name, _, _ := bytes.Cut(field, []byte(":"))
		if names[strings.ToLower(string(bytes.TrimSpace(name)))] == (len(only) > 0) {
			b = append(b, field...)
		}
	}
	return append(b, '\r', '\n')
}

// readHeader reads as many fields as can be read.
func readHeader(raw []byte) (textproto.Header, *bufio.Reader) {
	header, body := splitMail(raw)
	h, _ := textproto.ReadHeader(bufio.NewReader(bytes.NewReader(header))) // a broken line ends the fields
	return h, bufio.NewReader(bytes.NewReader(body))
}

// structure describes the parts of a mail. The library does so too, but goes as
// deep as the mail does, and panics at a multipart without parts.
func structure(header textproto.Header, r io.Reader, depth int) imap.BodyStructure {
	h := gomessage.Header{Header: header}
	mediaType, params, _ := h.ContentType()
	kind, subtype, ok := strings.Cut(mediaType, "/")
	if !ok {
		kind, subtype = "text", "plain"
	}
	var disposition *imap.BodyStructureDisposition
	if d, p, _ := h.ContentDisposition(); d != "" {
		disposition = &imap.BodyStructureDisposition{Value: d, Params: p}
	}
	if kind == "multipart" && depth < maxDepth {
		multi := &imap.BodyStructureMultiPart{
			Subtype:  subtype,
			Extended: &imap.BodyStructureMultiPartExt{Params: params, Disposition: disposition},
		}
		parts := textproto.NewMultipartReader(r, params["boundary"])
		for len(multi.Children) < 1000 {
			part, err := parts.NextPart()
			if err != nil {
				break
			}
			multi.Children = append(multi.Children, structure(part.Header, part, depth+1))
		}
		if len(multi.Children) > 0 {
			return multi
		}
	}
	if kind == "multipart" {
		kind, subtype = "application", "octet-stream"
	}
	body, _ := io.ReadAll(r) // of a truncated part: what there is
	single := &imap.BodyStructureSinglePart{
		Type: kind, Subtype: subtype, Params: params,
		ID: header.Get("Content-Id"), Description: header.Get("Content-Description"),
		Encoding: header.Get("Content-Transfer-Encoding"), Size: uint32(len(body)),
		Extended: &imap.BodyStructureSinglePartExt{Disposition: disposition},
	}
	lines := int64(bytes.Count(body, []byte("\n")))
	switch {
	case kind == "text":
		single.Text = &imap.BodyStructureText{NumLines: lines}
	case kind == "message" && (subtype == "rfc822" || subtype == "global"):
		inner, rest := readHeader(body)
		single.MessageRFC822 = &imap.BodyStructureMessageRFC822{
			Envelope: imapserver.ExtractEnvelope(inner), NumLines: lines,
			BodyStructure: &imap.BodyStructureSinglePart{
				Type: "application", Subtype: "octet-stream",
				Extended: &imap.BodyStructureSinglePartExt{},
			},
		}
		if depth < maxDepth {
			single.MessageRFC822.BodyStructure = structure(inner, rest, depth+1)
		}
	}
	return single
}
