package store

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// runners take a statement: as their first argument that is no context,
// transaction or store.
var runners = []string{
	"find", "read", "rowsFor", "exec", "affect", "Raw", "Exec", "Query", "QueryRow",
	"ExecContext", "QueryContext", "QueryRowContext", "Expr", "Where", "Order", "Having", "Joins",
	"places", "wish",
}

// builders are the functions that put statements together in ways this test
// does not follow, and why that is safe. They are not looked into: whoever
// changes one reads it with care.
func builders() map[string]string {
	return map[string]string{
		"ticketQuery": "parts put together by add, and an order out of literals",
		"fewQuery":    "conditions are literals, joined",
		"intakeQuery": "conditions are literals, joined",
		"outboxQuery": "conditions are literals, joined",
		"autoSent":    "one of two literals",
		"fillDays":    "casts of the dialect's, repeated",
		"updateMany":  "table, key, columns and condition are literals of its callers",
		"values":      "casts of the dialect's, repeated",
		"Twins":       "a column's name out of the table above it",
		"Handled":     "likewise",
		"check":       "a pragma's name out of the table above it",
		"readFresh":   "positions of the dialect's, added up",
		"Try":         "a savepoint's name, with its depth",
	}
}

// source is a package as far as the test looks at it.
type source struct {
	fset    *token.FileSet
	files   []*ast.File
	consts  map[string]bool
	dialect map[string]bool // methods of the interface
	used    map[string]bool // builders that were met
}

func newSource(fset *token.FileSet, files []*ast.File) *source {
	s := &source{fset, files, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GenDecl:
				for _, spec := range n.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok && n.Tok == token.CONST {
						for _, name := range v.Names {
							s.consts[name.Name] = true
						}
					}
				}
			case *ast.TypeSpec:
				if i, ok := n.Type.(*ast.InterfaceType); ok && n.Name.Name == "dialect" {
					for _, m := range i.Methods.List {
						s.dialect[m.Names[0].Name] = true
					}
				}
			}
			return true
		})
	}
	return s
}

// refused names the statements that are put together out of anything but
// constants and what the dialect says.
func (s *source) refused() []string {
	var bad []string
	for _, f := range s.files {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			if _, ok := builders()[fn.Name.Name]; ok {
				s.used[fn.Name.Name] = true
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if query := statement(call); query != nil && !s.constant(fn, query, 0) {
					bad = append(bad, fmt.Sprintf("%s: %s", s.fset.Position(query.Pos()), fn.Name.Name))
				}
				return true
			})
		}
	}
	return bad
}

// statement is the statement that a call runs; nil if it runs none.
func statement(call *ast.CallExpr) ast.Expr {
	if !slices.Contains(runners, called(call)) {
		return nil
	}
	for _, a := range call.Args {
		switch a := a.(type) {
		case *ast.Ident:
			if a.Name == "ctx" || a.Name == "db" || a.Name == "tx" || a.Name == "s" {
				continue
			}
		case *ast.SelectorExpr: // tx.ctx, tx.db
			if n := a.Sel.Name; n == "ctx" || n == "db" || n == "reader" {
				continue
			}
		case *ast.FuncLit: // sql.Conn.Raw
			return nil
		}
		if called(call) == "Raw" && len(call.Args) == 2 && call.Args[0] != a { // Store.Raw takes a hash
			return nil
		}
		return a
	}
	return nil
}

// called is the name of a call's function or method.
func called(call *ast.CallExpr) string {
	fun := call.Fun
	if i, ok := fun.(*ast.IndexExpr); ok { // find[row]
		fun = i.X
	}
	switch fun := fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		return fun.Sel.Name
	}
	return ""
}

// constant says whether an expression in fn has only parts that stand in the
// source.
func (s *source) constant(fn *ast.FuncDecl, e ast.Expr, depth int) bool {
	if depth > 10 {
		return false
	}
	switch e := e.(type) {
	case *ast.BasicLit:
		return true
	case *ast.BinaryExpr:
		return s.constant(fn, e.X, depth+1) && s.constant(fn, e.Y, depth+1)
	case *ast.CallExpr:
		_, built := builders()[called(e)]
		return built || s.dialect[called(e)]
	case *ast.Ident:
		if s.consts[e.Name] {
			return true
		}
		// The runners hand their parameter on; their callers are looked at.
		if e.Name == "query" && slices.Contains(runners, fn.Name.Name) {
			return true
		}
		return s.assigned(fn, e.Name, depth)
	}
	return false
}

// assigned says whether all that fn puts into a variable is constant.
func (s *source) assigned(fn *ast.FuncDecl, name string, depth int) bool {
	found, good := false, true
	ast.Inspect(fn, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		if !ok {
			return true
		}
		for i, to := range a.Lhs {
			if id, ok := to.(*ast.Ident); ok && id.Name == name {
				found = true
				good = good && s.constant(fn, a.Rhs[min(i, len(a.Rhs)-1)], depth+1)
			}
		}
		return true
	})
	return found && good
}

func TestT44_NoStatementIsBuiltOutOfValues(t *testing.T) {
	t.Parallel()
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil || len(names) < 10 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	s := newSource(fset, files)
	for _, place := range s.refused() {
		t.Errorf("%s: a statement with a part that is no constant; bind values with ?", place)
	}
	for name := range builders() {
		if !s.used[name] {
			t.Errorf("%s is excepted, but there is no such function", name)
		}
	}
}

func TestT44_TheCheckRefusesWhatItShould(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		body string
		ok   bool
	}{
		{`find[row](tx, "SELECT 1 WHERE x = ?", name)`, true},
		{`tx.exec("SELECT " + columns + " FROM t" + tx.s.dialect.forUpdate())`, true},
		{`q := "SELECT 1"; if name == "" { q = "SELECT 2" }; read[row](ctx, s, q, name)`, true},
		{`query, args := autoSent(name); read[row](ctx, s, query, args...)`, true},
		{`s.Raw(ctx, sum)`, true},
		{`tx.exec("SELECT 1 WHERE x = '" + name + "'")`, false},
		{`find[row](tx, fmt.Sprintf("SELECT 1 WHERE x = %q", name))`, false},
		{`q := "SELECT 1"; q += " ORDER BY " + name; read[row](ctx, s, q)`, false},
		{`tx.exec(name)`, false},
		{`tx.exec(f.name)`, false},
		{`rowsFor[row](ctx, db, "SELECT 1 ORDER BY "+name)`, false},
		{`conn.QueryRowContext(ctx, strings.Join(names, ","))`, false},
	} {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, "x.go", `package store
			const columns = "a, b"
			type dialect interface { forUpdate() string }
			func f(name string, query string) { `+c.body+` }`, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := newSource(fset, []*ast.File{f}).refused(); (len(got) == 0) != c.ok {
			t.Errorf("%s: refused %v, want it taken %t", c.body, got, c.ok)
		}
	}
}
