package page

import (
	"context"
	"errors"
	"net/http"
	"time"

	"deskd/store"
)

// changeLimit is for all that a change takes, the reading of a mail included.
const changeLimit = time.Minute

// change does what a form asks for in the name of who has sent it, and leads to
// the page that shows it. What cannot be done says why, and changes nothing.
func (p *page) change(w http.ResponseWriter, r *http.Request, name, to string, do func(ctx context.Context, id int64, actor string) error) {
	id, ok := rowID(r.PathValue(name))
	if !ok {
		p.notFound(w, r)
		return
	}
	// Whoever leaves meanwhile has asked for it all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), changeLimit)
	defer cancel()
	who := viewerOf(r).Addr
	err := do(ctx, id, who)
	switch {
	case err == nil:
		p.log.Info("changed on the page", "who", who, "path", shownPath(r))
		p.seeOther(w, r, to)
	case errors.Is(err, store.ErrNotFound):
		p.notFound(w, r)
	case store.World(err):
		p.fail(w, r.WithContext(ctx), err)
	default:
		why, _ := cut(oneLine(err.Error()), 500)
		p.problem(w, r, problem{Code: http.StatusConflict, Headline: "Nothing was changed", Text: capital(why) + "."})
	}
}

// retry reads a mail in quarantine, or one taken for spam, once more, and decides
// on it.
func (p *page) retry(w http.ResponseWriter, r *http.Request) {
	p.change(w, r, "intake", "/mail/"+r.PathValue("intake"), func(ctx context.Context, id int64, actor string) error {
		_, _, err := p.desk.Retry(ctx, id, actor)
		return err
	})
}

// drop takes a mail out of quarantine for good.
func (p *page) drop(w http.ResponseWriter, r *http.Request) {
	p.change(w, r, "intake", "/mail/"+r.PathValue("intake"), p.desk.Dismiss)
}

// sendAgain has a mail sent that did not go out.
func (p *page) sendAgain(w http.ResponseWriter, r *http.Request) {
	p.change(w, r, "row", "/mail/outbox", p.desk.SendAgain)
}

// cancel takes a mail back that did not go out yet.
func (p *page) cancel(w http.ResponseWriter, r *http.Request) {
	p.change(w, r, "row", "/mail/outbox", p.desk.Cancel)
}
