package sharepointserver

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// The parsers of foreign bytes, to be fuzzed.

// Envelope takes the result out of a SOAP envelope.
func Envelope(b []byte) ([]byte, error) { return envelope(b) }

// Attributes reads the content of a database.
func Attributes(b []byte) ([]string, error) {
	return attributes(b, "URL", "ContentDatabase", "Sites", "Site")
}

// ParsePage reads a page of search results.
func ParsePage(b []byte) (addresses []string, rows int, err error) {
	var a searchAnswer
	if err := decode(b, &a); err != nil {
		return nil, 0, err
	}
	p, ok := a.page()
	if !ok {
		return nil, 0, errJSON
	}
	return p.addresses, p.rows, nil
}

// KeepBytes is the most that the addresses of a list take, instead of the usual limit.
func (c *Client) KeepBytes(n int) { c.bytesLimit = n }

// Classify says what an answer with this status, type and body means.
func Classify(status int, kind, location string, body []byte) error {
	c := &Client{clock: fixed{}}
	at := &url.URL{Scheme: "https", Host: "sp.corp.test", Path: "/_api/web"}
	a := c.answer("site", at, &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}, "Location": {location}}}, body)
	if err := a.failure(); err != nil {
		return err
	}
	var object struct{ Title, URL text }
	if err := decode(a.body, &object); err != nil {
		return a.unreadable(err)
	}
	return nil
}

type fixed struct{}

func (fixed) Now() time.Time { return time.Unix(0, 0) }

func (fixed) Sleep(context.Context, time.Duration) error { return nil }
