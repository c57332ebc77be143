package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Column types. They clean and convert where a value crosses into the
// database, so that SQLite and PostgreSQL behave alike: PostgreSQL refuses NUL
// and bytes that are not UTF-8, SQLite keeps them.
type (
	text     string   // any text
	short    string   // text that stands in an index, which has a limit
	optional string   // text, empty is NULL
	stamp    int64    // microseconds since 1970 in UTC, zero is NULL
	ref      int64    // another row's number, zero is NULL
	flag     bool     // 0 or 1
	blob     []byte   // nil is NULL
	list     []string // a JSON list
)

// maxShort is how much of an indexed text is kept. PostgreSQL refuses index
// rows beyond some 2,700 bytes; no address that can be delivered to is longer
// than 254 (RFC 5321, section 4.5.3.1).
const maxShort = 1000

// clean drops NUL and replaces what is not UTF-8.
func clean(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return s
}

// shorten is clean, cut to what an index takes.
func shorten(s string) string {
	s = clean(s)
	if len(s) <= maxShort {
		return s
	}
	cut := maxShort
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

func (v text) Value() (driver.Value, error)  { return clean(string(v)), nil }
func (v short) Value() (driver.Value, error) { return shorten(string(v)), nil }
func (v list) Value() (driver.Value, error) {
	if len(v) == 0 {
		return "[]", nil
	}
	cleaned := make([]string, len(v))
	for i, s := range v {
		cleaned[i] = clean(s)
	}
	b, err := json.Marshal(cleaned)
	return string(b), err
}

func (v optional) Value() (driver.Value, error) {
	if v == "" {
		return nil, nil
	}
	return clean(string(v)), nil
}

func (v stamp) Value() (driver.Value, error) { return nullable(int64(v)), nil }
func (v ref) Value() (driver.Value, error)   { return nullable(int64(v)), nil }

func nullable(n int64) driver.Value {
	if n == 0 {
		return nil
	}
	return n
}

func (v flag) Value() (driver.Value, error) {
	if v {
		return int64(1), nil
	}
	return int64(0), nil
}

func (v blob) Value() (driver.Value, error) {
	if v == nil {
		return nil, nil
	}
	return []byte(v), nil
}

func (v *text) Scan(src any) error     { return scanText((*string)(v), src) }
func (v *short) Scan(src any) error    { return scanText((*string)(v), src) }
func (v *optional) Scan(src any) error { return scanText((*string)(v), src) }
func (v *stamp) Scan(src any) error    { return scanInt((*int64)(v), src) }
func (v *ref) Scan(src any) error      { return scanInt((*int64)(v), src) }

func (v *flag) Scan(src any) error {
	var n int64
	err := scanInt(&n, src)
	*v = n != 0
	return err
}

func (v *blob) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		*v = nil
	case []byte:
		*v = append(blob{}, src...)
	default:
		return fmt.Errorf("read bytes: the database gave a %T", src)
	}
	return nil
}

func (v *list) Scan(src any) error {
	var s string
	if err := scanText(&s, src); err != nil {
		return err
	}
	*v = nil
	if s == "" || s == "[]" {
		return nil
	}
	return json.Unmarshal([]byte(s), (*[]string)(v))
}

func scanText(to *string, src any) error {
	switch src := src.(type) {
	case nil:
		*to = ""
	case string:
		*to = src
	case []byte:
		*to = string(src)
	default:
		return fmt.Errorf("read text: the database gave a %T", src)
	}
	return nil
}

func scanInt(to *int64, src any) error {
	switch src := src.(type) {
	case nil:
		*to = 0
	case int64:
		*to = src
	case bool:
		*to = 0
		if src {
			*to = 1
		}
	default:
		return fmt.Errorf("read a number: the database gave a %T", src)
	}
	return nil
}

// at turns a time into its stored form.
func at(t time.Time) stamp {
	if t.IsZero() {
		return 0
	}
	return stamp(t.UnixMicro())
}

// time is the opposite of at.
func (v stamp) time() time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(v)).UTC()
}

// jsonText is a JSON document as it is stored; empty for nil.
func jsonText(b []byte) text { return text(b) }

func (v text) bytes() []byte {
	if v == "" {
		return nil
	}
	return []byte(v)
}
