package mailin

import (
	"errors"

	"github.com/emersion/go-sasl"
)

// xoauth2 signs in with an OAuth2 access token the way Microsoft and Google
// understand it; the library has only the standard's way (RFC 7628).
type xoauth2 struct{ username, token string }

var _ sasl.Client = xoauth2{}

func (x xoauth2) Start() (mech string, ir []byte, err error) {
	return "XOAUTH2", []byte("user=" + x.username + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

// Next gets a challenge only when the token was refused. The protocol wants an
// empty answer, which the library would write as "=". Nothing is answered: the
// connection ends anyway.
func (x xoauth2) Next([]byte) ([]byte, error) { return nil, errTokenRefused }

var errTokenRefused = errors.New("the server refused the access token")
