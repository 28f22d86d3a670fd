package winauth

import (
	"encoding/base64"
	"net/http"
	"strings"
)

const (
	offersLimit = 20         // challenges of one answer
	offerBytes  = 256 << 10  // of all WWW-Authenticate headers
	tokenChars  = tokenLimit // of base64
)

// offer is one challenge of a WWW-Authenticate header (RFC 9110, section 11.6.1).
type offer struct {
	scheme string // as written
	token  []byte // decoded token68; nil when there is none, or none that can be decoded
}

// parseOffers reads the challenges of an answer. What cannot be read ends the
// header it is in.
func parseOffers(h http.Header) []offer {
	var offers []offer
	size := 0
	for _, v := range h.Values("WWW-Authenticate") {
		if size += len(v); size > offerBytes {
			break
		}
		p := &offerParser{s: v}
		for len(offers) < offersLimit {
			o, ok := p.next()
			if !ok {
				break
			}
			offers = append(offers, o)
		}
	}
	return offers
}

func findOffer(offers []offer, scheme string) (offer, bool) {
	for _, o := range offers {
		if strings.EqualFold(o.scheme, scheme) {
			return o, true
		}
	}
	return offer{}, false
}

func schemes(offers []offer) []string {
	var names []string
	for _, o := range offers {
		names = append(names, clean(o.scheme))
	}
	return names
}

type offerParser struct{ s string }

// next reads a scheme and what belongs to it.
func (p *offerParser) next() (offer, bool) {
	p.s = strings.TrimLeft(p.s, " \t,")
	scheme := p.word()
	if scheme == "" {
		return offer{}, false
	}
	o := offer{scheme: scheme}
	if p.s == "" || p.s[0] == ',' {
		return o, true
	}
	if p.s[0] != ' ' && p.s[0] != '\t' {
		p.s = ""
		return offer{}, false
	}
	p.s = strings.TrimLeft(p.s, " \t")
	if t, rest, ok := token68(p.s); ok {
		p.s = rest
		if len(t) <= tokenChars*4/3+4 {
			if b, err := base64.StdEncoding.DecodeString(t); err == nil {
				o.token = b
			}
		}
		return o, true
	}
	for p.parameter() {
	}
	return o, true
}

// token68 reads a token that stands alone up to a comma or the end.
func token68(s string) (token, rest string, ok bool) {
	i := 0
	for i < len(s) && (alphanumeric(s[i]) || strings.IndexByte("-._~+/", s[i]) >= 0) {
		i++
	}
	if i == 0 {
		return "", s, false
	}
	for i < len(s) && s[i] == '=' {
		i++
	}
	rest = strings.TrimLeft(s[i:], " \t")
	if rest != "" && rest[0] != ',' {
		return "", s, false
	}
	return s[:i], rest, true
}

// parameter passes over one name=value. It takes nothing, and says false, where the
// next scheme begins.
func (p *offerParser) parameter() bool {
	before := p.s
	p.s = strings.TrimLeft(p.s, " \t,")
	name := p.word()
	p.s = strings.TrimLeft(p.s, " \t")
	if name == "" || p.s == "" || p.s[0] != '=' {
		p.s = before
		if name == "" {
			p.s = "" // nothing, or what no scheme can begin with
		}
		return false
	}
	p.s = strings.TrimLeft(p.s[1:], " \t")
	if p.s == "" || p.s[0] != '"' {
		p.word()
		return true
	}
	for i := 1; i < len(p.s); i++ {
		switch p.s[i] {
		case '\\':
			i++
		case '"':
			p.s = p.s[i+1:]
			return true
		}
	}
	p.s = "" // the quotation mark at the end is missing
	return false
}

// word reads a token (RFC 9110, section 5.6.2).
func (p *offerParser) word() string {
	i := 0
	for i < len(p.s) && (alphanumeric(p.s[i]) || strings.IndexByte("!#$%&'*+-.^_`|~", p.s[i]) >= 0) {
		i++
	}
	w := p.s[:i]
	p.s = p.s[i:]
	return w
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
