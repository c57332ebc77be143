package page

import (
	"bytes"
	"encoding/json"
	"strings"
)

// reason is one line of an explanation, with the lines that hang on it.
type reason struct {
	Label string
	Text  string
	Below []reason
}

// Bounds of an explanation, whatever is in the database.
const (
	deepestReason = 6
	mostReasons   = 300
)

// explain makes the JSON that the desk wrote about a decision readable, in
// the order in which it was written. What is no JSON is shown as it is.
func explain(why []byte) []reason {
	if len(bytes.TrimSpace(why)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(why))
	d.UseNumber()
	left := mostReasons
	root, ok := readReason(d, "", 0, &left)
	switch {
	case !ok:
		s, _ := cut(string(why), 4<<10)
		return []reason{{Label: "Note", Text: s}}
	case root.Label == "" && root.Text == "":
		return root.Below
	}
	return []reason{root}
}

// readReason reads one JSON value. Empty ones are left out by the caller.
func readReason(d *json.Decoder, label string, depth int, left *int) (reason, bool) {
	*left--
	t, err := d.Token()
	if err != nil || depth > deepestReason || *left < 0 {
		return reason{}, false
	}
	n := reason{Label: label}
	switch v := t.(type) {
	case string:
		n.Text = v
	case json.Number:
		n.Text = v.String()
	case bool:
		n.Text = "no"
		if v {
			n.Text = "yes"
		}
	case json.Delim:
		for d.More() {
			name := ""
			if v == '{' {
				key, err := d.Token()
				if err != nil {
					return reason{}, false
				}
				name, _ = key.(string)
				name = capital(words(name))
			}
			below, ok := readReason(d, name, depth+1, left)
			if !ok {
				return reason{}, false
			}
			if below.Text != "" || len(below.Below) > 0 {
				n.Below = append(n.Below, below)
			}
		}
		if _, err := d.Token(); err != nil {
			return reason{}, false
		}
		if v == '[' && plainList(n.Below) {
			n.Text, n.Below = joinReasons(n.Below), nil
		}
	}
	return n, true
}

// plainList says whether a list is a few short words, which read best on one
// line.
func plainList(list []reason) bool {
	length := 0
	for _, r := range list {
		length += len(r.Text) + 2
		if len(r.Below) > 0 || strings.ContainsAny(r.Text, " \n") {
			return len(list) == 1 && len(r.Below) == 0
		}
	}
	return length < 120
}

func joinReasons(list []reason) string {
	texts := make([]string, len(list))
	for i, r := range list {
		texts[i] = r.Text
	}
	return strings.Join(texts, ", ")
}
