package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
)

// WrongKey says that the database was made with another key than the one it
// was opened with. With a wrong key the event chains would not verify, and
// answers to mails sent before would not find their tickets.
type WrongKey struct{}

func (*WrongKey) Error() string {
	return "the key is not the one that this database was made with; put the old key file back (it is in your backup)"
}

type factRow struct {
	Name  short `gorm:"primaryKey"`
	Value blob
}

func (factRow) TableName() string { return "facts" }

// fingerprint tells keys apart and does not give the key away.
func (s *Store) fingerprint() []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte("deskd key check"))
	return mac.Sum(nil)
}

// checkKey keeps a fingerprint of the key in a new database, and compares it
// in one that has it.
func (s *Store) checkKey(ctx context.Context) error {
	fingerprint := s.fingerprint()
	err := s.Write(ctx, func(tx *Tx) error {
		fresh := []factRow{{"key", blob(fingerprint)}}
		if err := insert(tx, &fresh, ignore("name")); err != nil {
			return err
		}
		rows, err := find[factRow](tx, "SELECT * FROM facts WHERE name = ?", short("key"))
		if err != nil {
			return err
		}
		if len(rows) != 1 || !hmac.Equal(rows[0].Value, fingerprint) {
			return &WrongKey{}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("check the key: %w", err)
	}
	return nil
}
