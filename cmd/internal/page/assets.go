package page

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strconv"

	"deskd/triage/ticket"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static/style.css static/icon.svg static/live.js
var assetFiles embed.FS

// asset is a file that is the same for everybody. Its address holds the hash
// of its bytes, so a browser may keep it for ever.
type asset struct {
	address, mediaType string
	data               []byte
}

// load reads templates and assets, which are part of the program.
func (p *page) load() error {
	p.assets = map[string]asset{}
	for name, mediaType := range map[string]string{
		"style.css": "text/css; charset=utf-8",
		"icon.svg":  "image/svg+xml",
		"live.js":   "text/javascript; charset=utf-8",
	} {
		data, err := assetFiles.ReadFile("static/" + name)
		if err != nil {
			return fmt.Errorf("asset %s: %w", name, err)
		}
		sum := sha256.Sum256(data)
		p.assets[name] = asset{
			address:   "/static/" + hex.EncodeToString(sum[:8]) + "/" + name,
			mediaType: mediaType, data: data,
		}
	}
	p.templates = map[string]*template.Template{}
	base, err := template.New("").Funcs(template.FuncMap{
		"line": oneLine, "text": manyLines, "addr": address, "size": size, "count": count, "short": short,
		"status": ticket.Status.Label, "tag": p.tag, "tabs": mailTabs,
	}).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return fmt.Errorf("templates: %w", err)
	}
	for _, name := range []string{"dashboard", "queue", "ticket", "search", "mails", "mail", "outbox", "problem", "signin", "account"} {
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(templateFiles, "templates/"+name+".html")
		}
		if err != nil {
			return fmt.Errorf("template %s: %w", name, err)
		}
		p.templates[name] = t
	}
	return nil
}

func (p *page) static(w http.ResponseWriter, r *http.Request) {
	a, ok := p.assets[path.Base(r.URL.Path)]
	if !ok || a.address != r.URL.Path {
		p.identified(p.only(requester, p.notFound)).ServeHTTP(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.mediaType)
	h.Set("Content-Length", strconv.Itoa(len(a.data)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.data)
	}
}
