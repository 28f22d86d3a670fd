package winauth_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/internal/winauth"
)

func TestParseOffers(t *testing.T) {
	t.Parallel()
	type offers = []winauth.Offer
	for _, c := range []struct {
		name string
		in   []string
		want offers
	}{
		{"IIS", []string{"Negotiate", "NTLM", `Basic realm="exch01.corp.test"`}, offers{{"Negotiate", ""}, {"NTLM", ""}, {"Basic", ""}}},
		{"one header", []string{`Negotiate, NTLM, Basic realm="a, Digest b=c", charset="UTF-8", Bearer x=y`}, offers{{"Negotiate", ""}, {"NTLM", ""}, {"Basic", ""}, {"Bearer", ""}}},
		{"token", []string{"NTLM TlRMTVNTUAA="}, offers{{"NTLM", "NTLMSSP\x00"}}},
		{"token, then another", []string{"Negotiate b2s= , Basic realm=x"}, offers{{"Negotiate", "ok"}, {"Basic", ""}}},
		{"parameter without quotes", []string{"Basic realm=x,NTLM"}, offers{{"Basic", ""}, {"NTLM", ""}}},
		{"quotation marks escaped", []string{`Basic realm="a\"b, NTLM", Negotiate`}, offers{{"Basic", ""}, {"Negotiate", ""}}},
		{"spaces", []string{" , ,Negotiate ,\tNTLM\t"}, offers{{"Negotiate", ""}, {"NTLM", ""}}},
		{"not base64", []string{"NTLM ~~~"}, offers{{"NTLM", ""}}},
		{"quotation mark missing", []string{`Basic realm="x, NTLM`, "Negotiate"}, offers{{"Basic", ""}, {"Negotiate", ""}}},
		{"rubbish", []string{"\x00\x01", `"`, "=", "Neg\"otiate"}, nil},
		{"none", nil, nil},
		{"too many", []string{strings.Repeat("A,", 100)}, slices.Repeat(offers{{"A", ""}}, 20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := winauth.ParseOffers(c.in...); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzOffers(f *testing.F) {
	f.Add(`Negotiate, NTLM, Basic realm="a, b", Bearer x=y`)
	f.Add("NTLM TlRMTVNTUAA=")
	f.Add(`Basic realm="a\`)
	f.Fuzz(func(t *testing.T, s string) {
		for _, o := range winauth.ParseOffers(s, s) {
			if o.Scheme == "" || strings.ContainsAny(o.Scheme, " ,=\"") {
				t.Errorf("%q gives the scheme %q", s, o.Scheme)
			}
		}
	})
}
