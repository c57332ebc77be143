package store

import (
	"fmt"
	"testing"
	"time"

	"deskd/store/storetest"
)

// BenchmarkWriteMail measures one commit with all that new mails lead to:
// ticket, entry, event, raw mail, Message-ID, two outgoing mails, fate.
func BenchmarkWriteMail(b *testing.B) {
	raw := make([]byte, 2000)
	for i := range raw {
		raw[i] = "abcdefgh ijklmno"[i*i>>2&15]
	}
	for _, kind := range []string{"sqlite", "postgres"} {
		for _, mails := range []int{1, 50} {
			b.Run(fmt.Sprintf("%s/%d", kind, mails), func(b *testing.B) {
				s := open(b, place(b, kind))
				serial := uint32(0)
				for b.Loop() {
					b.StopTimer()
					ids := make([]MailboxUID, mails)
					for i := range ids {
						serial++
						ids[i] = MailboxUID{"help@example.org", 1, serial}
					}
					ins, err := s.BeginHandling(b.Context(), ids, false, false)
					if err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
					mustWrite(b, s, func(tx *Tx) error {
						for _, in := range ins {
							if err := mail(tx, in, fmt.Append(raw, in.ID)); err != nil {
								return err
							}
						}
						return nil
					})
				}
				b.ReportMetric(float64(b.N*mails)/b.Elapsed().Seconds(), "mails/s")
			})
		}
	}
}

// BenchmarkClaim measures claims of ten rows out of a backlog, and recording
// that they were sent.
func BenchmarkClaim(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			s := open(b, place(b, kind))
			serial := 0
			for b.Loop() {
				b.StopTimer()
				if serial%1000 == 0 {
					mustWrite(b, s, func(tx *Tx) error {
						for i := range 1000 {
							if err := tx.Enqueue(outgoing(fmt.Sprint(serial, "/", i), 0, 0, "ann@example.org")); err != nil {
								return err
							}
						}
						return nil
					})
				}
				serial += 10
				b.StartTimer()
				rows, err := s.Claim(b.Context(), 10, time.Minute)
				if err != nil || len(rows) != 10 {
					b.Fatal(len(rows), err)
				}
			}
			b.ReportMetric(float64(b.N*10)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func place(b *testing.B, kind string) string {
	b.Helper()
	if kind == "sqlite" {
		return storetest.SQLite(b)
	}
	return storetest.Start(b).Database(b, "bench")
}
