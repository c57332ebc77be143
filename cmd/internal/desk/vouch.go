package desk

import (
	"context"
	"sync"
	"time"
)

// Looking into the signatures of a batch.
const (
	vouchTime   = 10 * time.Second // for those who may give commands: mail is not to wait for name servers
	strangeTime = 3 * time.Second  // for all the others, whose name servers may be slow on purpose
	vouchers    = 8                // side by side: they mostly wait
)

// vouch has the signatures of mails looked into whose senders nothing else
// proves. It is work on the network, so it stands between reading and deciding,
// outside of any transaction. Whatever goes wrong with it leaves a mail without
// a proof and never makes it fail: name servers are the world's (T1).
func (d *Desk) vouch(ctx context.Context, mails []*mail) {
	if d.o.DKIM == nil {
		return
	}
	var workers, others []*mail
	for _, m := range mails {
		switch {
		case m.setOff || m.fault != nil || d.rules.Sender(&m.msg).Authenticated:
		case d.rules.Works(d.rules.Canonical(m.msg.From.Addr)):
			workers = append(workers, m)
		default:
			others = append(others, m)
		}
	}
	// Only the domain in From is asked, so that what technicians' mail waits for
	// is in the hands of their own.
	d.vouchFor(ctx, workers, vouchTime)
	d.vouchFor(ctx, others, strangeTime)
}

// vouchFor has the signatures of these looked into, within a time in all.
func (d *Desk) vouchFor(ctx context.Context, mails []*mail, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	slots := make(chan struct{}, vouchers)
	var wg sync.WaitGroup
	for _, m := range mails {
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
