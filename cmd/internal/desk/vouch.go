package desk

import (
	"context"
	"sync"
	"time"
)

// Looking into the signatures of a batch.
const (
	vouchTime = 10 * time.Second // for all of it: mail is not to wait for name servers
	vouchers  = 8                // side by side: they mostly wait
)

// vouch has the signatures of mails looked into whose senders nothing else
// proves. It is work on the network, so it stands between reading and deciding,
// outside of any transaction. Whatever goes wrong with it leaves a mail without
// a proof and never makes it fail: name servers are the world's (T1).
func (d *Desk) vouch(ctx context.Context, mails []*mail) {
	if d.o.DKIM == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, vouchTime)
	defer cancel()
	slots := make(chan struct{}, vouchers)
	var wg sync.WaitGroup
	for _, m := range mails {
		if m.setOff || m.fault != nil || d.rules.Sender(&m.msg).Authenticated {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			var err error
			defer catch(d.log, "look into signatures", &err)
			d.o.DKIM.Verify(ctx, m.Raw, &m.msg)
		})
	}
	wg.Wait()
}
