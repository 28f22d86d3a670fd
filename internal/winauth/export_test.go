package winauth

import (
	"net/http"

	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/c2conn/c2conn/connections"
)

// What has no exported name but a published test vector, or is a parser to be fuzzed.

// NTLMKey is NTOWFv2.
func NTLMKey(password connections.Secret, user, domain string) []byte {
	return ntlmKey(password, user, domain)
}

// NTLMResponse is the NTLMv2 response and the session key.
func NTLMResponse(key, server, client, at, target []byte) (response, session []byte) {
	return ntlmResponse(key, server, client, at, target)
}

// NTLMAnswer answers a challenge and tells its AV pairs' ids.
func NTLMAnswer(challenge []byte, a NTLMOptions) ([]byte, error) {
	c, err := parseNTLMChallenge(challenge)
	if err != nil {
		return nil, err
	}
	return ntlmAuthenticate(ntlmNegotiate(), c, a)
}

// NTLMOptions are what an answer is made of.
type NTLMOptions = ntlmAnswer

// NewNTLMOptions makes them.
func NewNTLMOptions(o AccountOptions, domain, user, spn string) NTLMOptions {
	return ntlmAnswer{domain: domain, user: user, password: o.Password, spn: spn, now: o.Clock.Now(), rand: o.Rand}
}

// Offer is a challenge of a WWW-Authenticate header.
type Offer struct {
	Scheme string
	Token  string
}

// ParseOffers reads WWW-Authenticate headers.
func ParseOffers(values ...string) []Offer {
	var out []Offer
	for _, o := range parseOffers(http.Header{"Www-Authenticate": values}) {
		out = append(out, Offer{o.scheme, string(o.token)})
	}
	return out
}

// ParseNegotiation reads a NegTokenResp.
func ParseNegotiation(b []byte) (state int, mech string, token []byte, err error) {
	n, err := parseNegotiation(b)
	return n.state, n.mech.String(), n.token, err
}

// ParseKerberosToken unframes a Kerberos token.
func ParseKerberosToken(b []byte) (kind uint16, message []byte, err error) {
	return parseKerberosToken(b)
}

// BindingHash is the hash of channel bindings with this application data.
var BindingHash = bindingHash

// ReadyContext is a context as it is after the sign-in, with given keys and numbers.
func ReadyContext(key []byte, etype int32, send, receive uint64, acceptorSubkey bool) *Context {
	return &Context{
		account: NewAccount(AccountOptions{Name: "alice@corp.test"}), spn: "HTTP/exch01.corp.test", ready: true,
		key: types.EncryptionKey{KeyType: etype, KeyValue: key}, send: send, receive: receive, subkey: acceptorSubkey,
	}
}

// StartedContext is a context that waits for its answer.
func StartedContext(session []byte, etype int32) *Context {
	c := ReadyContext(session, etype, 0, 0, false)
	c.ready, c.session = false, c.key
	return c
}

// ReadReply reads what a KDC answers, first as an error, then as a ticket for alice.
func ReadReply(b []byte) error {
	a := NewAccount(AccountOptions{Name: "alice@corp.test"})
	if e := errorOf(b); e != nil {
		return a.refusal(e, "CORP.TEST", "HTTP/exch01.corp.test")
	}
	name := types.PrincipalName{NameType: 1, NameString: []string{"alice"}}
	_, err := a.opened("CORP.TEST", b, messages.KDCReqBody{Nonce: 1}, nil, name, connections.NewSecret("x"))
	return err
}
