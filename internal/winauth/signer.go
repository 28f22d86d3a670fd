package winauth

import "net/http"

type signer struct {
	account *Account
	o       HTTPOptions
}

func newSigner(a *Account, o HTTPOptions) *signer { return &signer{account: a, o: o} }

// RoundTrip implements http.RoundTripper.
func (s *signer) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, &NoMethodError{}
}
