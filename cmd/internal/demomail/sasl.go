package demomail

import (
	"github.com/emersion/go-sasl"
)

// newMechanism returns the server half of PLAIN or LOGIN, or nil for any other
// mechanism. Whatever goes wrong in it is answered with refusal, the protocol's
// way to say no.
func newMechanism(name string, login func(name, password string) error, refusal error) sasl.Server {
	switch name {
	case sasl.Plain:
		return refusing{refusal, sasl.NewPlainServer(func(identity, name, password string) error {
			if identity != "" && identity != name {
				return errLogin // nobody acts for somebody else
			}
			return login(name, password)
		})}
	case sasl.Login:
		return refusing{refusal, &loginServer{login: login}}
	}
	return nil
}

type refusing struct {
	refusal error
	inner   sasl.Server
}

func (r refusing) Next(response []byte) (challenge []byte, done bool, err error) {
	challenge, done, err = r.inner.Next(response)
	if err != nil {
		return nil, true, r.refusal
	}
	return challenge, done, nil
}

// loginServer is the LOGIN mechanism, which some older mail programs and
// printers know only (draft-murchison-sasl-login-00). The name may come with
// the command.
type loginServer struct {
	login   func(name, password string) error
	asked   bool
	name    string
	hasName bool
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case l.hasName:
		return nil, true, l.login(l.name, string(response))
	case response == nil && !l.asked:
		l.asked = true
		return []byte("Username:"), false, nil
	default:
		l.name, l.hasName = string(response), true
		return []byte("Password:"), false, nil
	}
}
