package configs

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a settings file. They keep the YAML parser, which is recursive and
// in places quadratic, away from input that no person wrote.
const (
	maxFile  = 256 << 10 // bytes
	maxDepth = 32        // brackets open at once, dashes in one line
)

// decode reads data into the struct that v points to and notes where each key
// stands. The library's own decoder stops at the first error, tells a bad
// duration without its line, skips a second document and shows the source
// (and a password in it) with each error; so only its parser is used.
func decode(data []byte, v any, c *complaints) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		c.addAt(firstBad(data), "", "the file is not UTF-8 text; save it as UTF-8")
		return
	}
	if len(data) > maxFile {
		c.add("", "the file has %d bytes, more than %d; is it a settings file?", len(data), maxFile)
		return
	}
	tokens := lexer.Tokenize(string(data))
	if p, deep := tooDeep(tokens); deep {
		c.addAt(p, "", "more than %d levels within one another; is it a settings file?", maxDepth)
		return
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		c.syntax(data, err)
		return
	}
	d := &decoder{complaints: c}
	if body := d.onlyDocument(file); body != nil {
		d.value(body, reflect.ValueOf(v).Elem(), "")
	}
}

// firstBad gives the place of the first byte that is not text.
func firstBad(data []byte) place {
	p := place{1, 1}
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		if r == 0 || r == utf8.RuneError && n == 1 {
			break
		}
		data = data[n:]
		p.column++
		if r == '\n' {
			p = place{p.line + 1, 1}
		}
	}
	return p
}

// tooDeep says whether brackets or dashes stand in one another more deeply
// than a person would write them.
func tooDeep(tokens token.Tokens) (place, bool) {
	var brackets, dashes, line int
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
		case token.SequenceEntryType, token.MappingKeyType:
			if t.Position.Line != line {
				line, dashes = t.Position.Line, 0
			}
			dashes++
		}
		if brackets > maxDepth || dashes > maxDepth {
			return at(t), true
		}
	}
	return place{}, false
}

// syntax complains about a file that is no YAML. Of the parser's error only
// the message is taken, since its full text shows the lines around it.
func (c *complaints) syntax(data []byte, err error) {
	var se *yaml.SyntaxError
	if !errors.As(err, &se) || se.Token == nil {
		c.add("", "the file cannot be read as YAML; compare it with the example")
		return
	}
	p := at(se.Token)
	// What stands in double quotes is out of the file, the rest is the parser's.
	message, _, _ := strings.Cut(se.Message, `"`)
	c.addAt(p, "", "%s; %s", strings.TrimRight(message, ": "), mendSyntax(data, p.line))
}

// mendSyntax guesses from a line that is no YAML what its writer should do.
func mendSyntax(data []byte, line int) string {
	lines := strings.Split(string(data), "\n")
	if line < 1 || line > len(lines) {
		return "compare the file with the example"
	}
	text := strings.TrimLeft(lines[line-1], " -")
	key, value, found := strings.Cut(text, ":")
	switch {
	case strings.HasPrefix(text, "\t"):
		return "indent with spaces, not with tabs"
	case found && value != "" && !strings.HasPrefix(value, " ") && isKeyPath(key):
		return "put a space after the colon"
	case found && strings.ContainsAny(firstOf(strings.TrimSpace(value)), "@`%*&!|>") || strings.Contains(value, ": "):
		return "put the value into single quotes"
	case found && strings.ContainsAny(firstOf(strings.TrimSpace(value)), `"'`):
		return "close the quotes on the same line, or put the value into single quotes"
	}
	return "compare the line with the example, and how far it and the lines around it are indented"
}

func firstOf(s string) string { return s[:min(1, len(s))] }

// at gives the place of a token.
func at(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{}
	}
	return place{t.Position.Line, t.Position.Column}
}

type decoder struct{ *complaints }

// onlyDocument gives the body of the file's one document.
func (d *decoder) onlyDocument(f *ast.File) ast.Node {
	var body ast.Node
	for _, doc := range f.Docs {
		if _, ok := doc.Body.(*ast.DirectiveNode); ok {
			d.addAt(at(doc.Body.GetToken()), "", "a %%-line is not used in settings; take it out")
			continue
		}
		if body == nil {
			body = doc.Body
			continue
		}
		p := at(doc.Start)
		if doc.Start == nil && doc.Body != nil {
			p = begin(doc.Body)
		}
		d.addAt(p, "", "a second document begins here and would be ignored; take out the line before it (--- or ...), or what follows")
		break
	}
	return body
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// value reads one node into v. A node that does not fit leaves v as it was.
func (d *decoder) value(n ast.Node, v reflect.Value, path string) {
	p := begin(n)
	if path != "" {
		d.at[path] = p
	}
	switch n.(type) {
	case *ast.NullNode:
		if v.Kind() == reflect.Struct && !isScalar(v.Type()) {
			return // "limits:" over lines that are all comments
		}
		if v.Kind() == reflect.Slice {
			d.addAt(p, path, "nothing stands here; write [] for none, or take the key out")
			return
		}
		d.addAt(p, path, "nothing stands here; give it a value, or take the key out")
		return
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		d.addAt(p, path, "anchors (&), references (*) and tags (!) are not used in settings; put text that begins so into quotes")
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if isScalar(v.Type()) {
		d.scalar(n, v, path, p)
		return
	}
	switch v.Kind() {
	case reflect.Slice:
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			d.addAt(p, path, "%s stands where a list belongs; put it into [ ], or write each item on a line of its own that begins with a dash", kindOf(n))
			return
		}
		list := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
		for i, item := range seq.Values {
			d.value(item, list.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
		v.Set(list)
	case reflect.Struct:
		switch n := n.(type) {
		case *ast.MappingNode:
			d.fields(n.Values, v, path)
		case *ast.MappingValueNode:
			d.fields([]*ast.MappingValueNode{n}, v, path)
		default:
			if path == "" {
				d.addAt(p, path, "%s stands where settings belong; begin like the example, with mailboxes:", kindOf(n))
				return
			}
			d.addAt(p, path, "%s stands where settings belong; write them beneath, indented: %s", kindOf(n), strings.Join(keysOf(v.Type()), ", "))
		}
	case reflect.Map: // words of the writer's own, such as domains
		pairs, ok := pairsOf(n)
		if !ok {
			d.addAt(p, path, "%s stands where pairs belong; write them beneath, indented, each as NAME: VALUE", kindOf(n))
			return
		}
		d.words(pairs, v, path)
	default:
		panic(fmt.Sprintf("configs: no way to read a %s (%s)", v.Type(), path))
	}
}

// pairsOf gives the pairs of a mapping.
func pairsOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// words reads the pairs of a mapping whose keys are not ours. They are kept in
// lower case.
func (d *decoder) words(pairs []*ast.MappingValueNode, v reflect.Value, path string) {
	all := reflect.MakeMap(v.Type())
	for _, pair := range pairs {
		key, ok := textOf(pair.Key)
		if key = strings.ToLower(key); !ok || key == "" {
			d.addAt(at(pair.Key.GetToken()), path, "%s stands where a name belongs; write NAME: VALUE", kindOf(pair.Key))
			continue
		}
		if all.MapIndex(reflect.ValueOf(key)).IsValid() {
			d.addAt(at(pair.Key.GetToken()), path, "names one thing twice; keep one of them")
			continue
		}
		value := reflect.New(v.Type().Elem()).Elem()
		d.value(pair.Value, value, path+"["+key+"]")
		all.SetMapIndex(reflect.ValueOf(key), value)
	}
	v.Set(all)
}

// isScalar says whether one word in the file makes up a value of the type.
func isScalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(textType) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64:
		return true
	}
	return false
}

// scalar reads one word. A number is fine where text belongs: a password may
// be all digits, and is taken as written.
func (d *decoder) scalar(n ast.Node, v reflect.Value, path string, p place) {
	text, ok := textOf(n)
	if !ok {
		d.addAt(p, path, "%s stands where one value belongs; write %s", kindOf(n), sample(v.Type()))
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			d.addAt(p, path, "%s", err)
		}
		return
	}
	if v.Type() == durationType {
		span, err := parseDuration(text)
		if err != nil {
			d.addAt(p, path, "%s", err)
			return
		}
		v.SetInt(int64(span))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if _, ok := n.(*ast.BoolNode); !ok {
			d.addAt(p, path, "%q is neither true nor false; write one of these", text)
			return
		}
		v.SetBool(strings.EqualFold(text, "true"))
	case reflect.Int64: // what another package counts in bytes
		var size Bytes
		i, err := strconv.ParseInt(text, 10, 64)
		if err == nil {
			size = Bytes(i)
		} else if err := size.UnmarshalText([]byte(text)); err != nil {
			d.addAt(p, path, "%s", err)
			return
		}
		v.SetInt(int64(size))
	default:
		i, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			d.addAt(p, path, "%q is no whole number; write one like 10", text)
			return
		}
		v.SetInt(i)
	}
}

// fields reads the keys of one mapping into a struct.
func (d *decoder) fields(pairs []*ast.MappingValueNode, v reflect.Value, path string) {
	known := fieldsOf(v.Type())
	first := map[string]place{}
	for _, pair := range pairs {
		key, ok := textOf(pair.Key)
		p := at(pair.Key.GetToken())
		if _, text := pair.Key.(*ast.StringNode); !ok || !text {
			d.addAt(p, path, "a key must be a plain word; known here: %s", strings.Join(keysOf(v.Type()), ", "))
			continue
		}
		whole := strings.TrimPrefix(path+"."+key, ".")
		if before, twice := first[key]; twice && showable(key) {
			d.addAt(p, whole, "stands here for the second time, first on line %d; keep one of them", before.line)
			continue
		}
		first[key] = p
		i := slices.IndexFunc(known, func(f field) bool { return f.key == key })
		if i < 0 {
			d.unknown(p, path, key, v.Type())
			continue
		}
		d.under[whole] = p
		d.value(pair.Value, v.FieldByIndex(known[i].index), whole)
	}
}

// unknown complains about a key that is not there, and says which one may be
// meant: one spelled like it, or the same one in another place.
func (d *decoder) unknown(p place, path, key string, t reflect.Type) {
	keys := keysOf(t)
	if !showable(key) {
		// It may be a password whose colon or quotes went astray.
		d.addAt(p, path, "unknown key; known here: %s", strings.Join(keys, ", "))
		return
	}
	whole := strings.TrimPrefix(path+"."+key, ".")
	if near := nearest(key, keys); near != "" {
		d.addAt(p, whole, "unknown key; did you mean %s?", near)
		d.meant[strings.TrimPrefix(path+"."+near, ".")] = true
		return
	}
	for _, other := range schema(reflect.TypeFor[Settings](), "") {
		if other == key || strings.HasSuffix(other, "."+key) {
			d.addAt(p, whole, "unknown key here; it belongs where the example has it: %s", other)
			return
		}
	}
	d.addAt(p, whole, "unknown key; known here: %s", strings.Join(keys, ", "))
}

// showable says whether an unknown key may be repeated in a complaint: it
// looks like a key, not like half of a secret.
func showable(key string) bool {
	return len(key) <= 32 && strings.Trim(strings.ToLower(key), "abcdefghijklmnopqrstuvwxyz_-") == ""
}

// begin gives the place where a node begins; the token of a mapping is its
// first colon.
func begin(n ast.Node) place {
	switch m := n.(type) {
	case *ast.MappingNode:
		if len(m.Values) > 0 && !m.IsFlowStyle {
			return at(m.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		return at(m.Key.GetToken())
	case *ast.LiteralNode:
		return at(m.Start)
	}
	return at(n.GetToken())
}

// textOf gives a scalar as it is written, without its quotes.
func textOf(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// kindOf names what was found, for people.
func kindOf(n ast.Node) string {
	switch n.(type) {
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a group of settings"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	}
	return "text"
}

// sample says what to write for a value of the type.
func sample(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a span of time such as 5m"
	case t.Kind() == reflect.Int64:
		return "a size such as 25MiB"
	case t.Kind() == reflect.Int:
		return "a number such as 10"
	case t.Kind() == reflect.Bool:
		return "true or false"
	}
	return "one line of text"
}

// field is one setting of a struct.
type field struct {
	key   string
	index []int // for reflect.Value.FieldByIndex
	typ   reflect.Type
}

// fieldsOf lists the settings of a struct in its order. Those of a struct
// marked inline stand among them, unless the outer struct has the same key.
func fieldsOf(t reflect.Type) []field {
	var own, inner []field
	for i := range t.NumField() {
		f := t.Field(i)
		key, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported() || key == "-":
		case opts == "inline":
			for _, g := range fieldsOf(f.Type) {
				inner = append(inner, field{g.key, append([]int{i}, g.index...), g.typ})
			}
		case key == "":
			panic(fmt.Sprintf("configs: %s.%s has no yaml key", t, f.Name))
		default:
			own = append(own, field{key, []int{i}, f.Type})
		}
	}
	for _, f := range inner {
		if !slices.ContainsFunc(own, func(o field) bool { return o.key == f.key }) {
			own = append(own, f)
		}
	}
	return own
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		keys = append(keys, f.key)
	}
	return keys
}

// schema lists the paths of all settings within a struct, with [] for the
// items of a list: "mailboxes[].server".
func schema(t reflect.Type, prefix string) []string {
	var paths []string
	for _, f := range fieldsOf(t) {
		path, typ := prefix+f.key, f.typ
		paths = append(paths, path)
		if typ.Kind() == reflect.Slice {
			path, typ = path+"[]", typ.Elem()
		}
		if typ.Kind() == reflect.Struct && !isScalar(typ) {
			paths = append(paths, schema(typ, path+".")...)
		}
	}
	return paths
}
