package mailin

import (
	"context"

	"github.com/emersion/go-imap/v2"
)

// Recent gives the header parts of the folder's newest mails, at most n, the
// newest first. Nothing is changed on the server. Where the folder is empty it
// looks at the mails that are done.
func (s *Source) Recent(ctx context.Context, n int) (headers [][]byte, err error) {
	c, err := s.connect(ctx, false)
	if err != nil {
		return nil, err
	}
	defer func() { c.logout(ctx) }()
	if err := c.namespace(ctx); err != nil {
		return nil, err
	}
	folders := []string{s.cfg.Folder}
	if done, err := c.find(ctx, c.candidates(s.cfg.Done)); err == nil && done != "" {
		folders = append(folders, done)
	}
	for _, folder := range folders {
		c.cfg.Folder = folder
		if _, err := c.open(ctx, true); err != nil {
			return headers, err
		}
		uids, err := c.search(ctx, "list mails", &imap.SearchCriteria{})
		if err != nil {
			return headers, err
		}
		for i := len(uids) - 1; i >= 0 && len(headers) < n; i-- {
			one := meta{uid: uids[i], size: maxHeader}
			bodies, err := c.bodies(ctx, []meta{one}, true)
			if err != nil {
				return headers, err
			}
			if b, ok := bodies[one.uid]; ok {
				headers = append(headers, b.raw)
			}
		}
		if len(headers) > 0 {
			break
		}
	}
	return headers, nil
}
