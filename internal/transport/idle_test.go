package transport

import (
	"errors"
	"net/http"
	"testing"
)

// idler counts how often its idle connections were closed.
type idler struct{ closed int }

func (*idler) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no network") }

func (i *idler) CloseIdleConnections() { i.closed++ }

func TestCloseIdleConnectionsReachesTheNetwork(t *testing.T) {
	t.Parallel()
	base := &idler{}
	c, err := New(Options{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	if c.CloseIdleConnections(); base.closed != 1 {
		t.Errorf("closed %d times", base.closed)
	}
	// A network without connections of its own has none to close.
	c, err = New(Options{Base: plain{}})
	if err != nil {
		t.Fatal(err)
	}
	c.CloseIdleConnections()
}

// plain is a network that cannot close connections.
type plain struct{}

func (plain) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no network") }
