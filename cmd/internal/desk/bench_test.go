package desk

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"deskd/mailin"
	"deskd/store/storetest"
)

// BenchmarkDeliver measures how many simple first mails, each of another
// sender, become tickets in a second, all that follows from them on disk.
func BenchmarkDeliver(b *testing.B) {
	for _, database := range []struct {
		name string
		url  func(testing.TB) string
	}{{"sqlite", storetest.SQLite}, {"postgres", storetest.PostgreSQL}} {
		for _, size := range []int{1, 50} {
			b.Run(fmt.Sprintf("%s/%d", database.name, size), func(b *testing.B) {
				o := open(b, database.url(b), quiet)
				uid := uint32(0)
				for b.Loop() {
					b.StopTimer()
					o.clock.add(time.Hour) // no limit on answers is reached
					batch := make([]mailin.Fetched, size)
					for i := range batch {
						uid++
						raw := []byte(vouched(letter(fmt.Sprintf("User <user%d@example.org>", uid), fmt.Sprint("printer ", uid), "It is jammed again.\nCan somebody come?\n\n-- \nUser\n")))
						batch[i] = mailin.Fetched{
							Box: mailin.Box{Mailbox: support, Validity: 7}, UID: uid, Arrived: o.clock.now(), Size: int64(len(raw)), Raw: raw, SHA256: sha256.Sum256(raw),
						}
					}
					b.StartTimer()
					if v, err := o.Deliver(b.Context(), batch); err != nil || len(v) != size {
						b.Fatalf("Deliver = %v, %v", v, err)
					}
				}
				b.ReportMetric(float64(uid)/b.Elapsed().Seconds(), "mails/s")
			})
		}
	}
}
