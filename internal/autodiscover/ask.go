package autodiscover

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/c2conn/c2conn/internal/patience"
	"github.com/c2conn/c2conn/internal/transport"
)

// question is a request to an autodiscover service.
type question struct {
	client *http.Client
	limit  time.Duration
	url    string
	body   []byte // nil: a GET
	action string // SOAPAction, "" for none
	accept string
	size   int64 // of the largest answer that is read, in bytes
}

// reply is an HTTP answer, read to its end, or to one byte more than the limit.
type reply struct {
	status   int
	header   http.Header
	body     []byte
	location string // of a redirect
	took     time.Duration
}

// ask sends a question. The reply tells how long it took also where there is an error.
func (s *search) ask(ctx context.Context, q question) (a reply, err error) {
	begin := s.o.Clock.Now()
	defer func() { a.took = s.o.Clock.Now().Sub(begin) }()
	ctx, cancel := patience.WithLimit(ctx, q.limit)
	defer cancel()
	method := http.MethodGet
	var body io.Reader
	if q.body != nil {
		method, body = http.MethodPost, bytes.NewReader(q.body)
	}
	r, err := http.NewRequestWithContext(ctx, method, q.url, body)
	if err != nil {
		return reply{}, err
	}
	if q.body != nil {
		r.Header.Set("Content-Type", "text/xml; charset=utf-8")
	}
	if q.action != "" {
		r.Header.Set("SOAPAction", `"`+q.action+`"`)
	}
	r.Header.Set("Accept", q.accept)
	client := *q.client
	client.CheckRedirect = transport.NoRedirect // whatever the client was made for
	res, err := client.Do(r)
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // the attempt has the URL
	}
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, q.size+1))
	if err != nil {
		return reply{}, err
	}
	return reply{status: res.StatusCode, header: res.Header, body: data, location: res.Header.Get("Location")}, nil
}

func (a reply) redirects() bool {
	switch a.status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return a.location != ""
	}
	return false
}

// foreign says in words what answered when it is no autodiscover service.
func (a reply) foreign(why error) error {
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	text := "no autodiscover service"
	switch {
	case kind == "text/html" && a.status == http.StatusOK:
		text = "a web page, no autodiscover service"
	case a.status == http.StatusOK && why != nil:
		text = why.Error()
	}
	return &AnswerError{Status: a.status, Message: text}
}
