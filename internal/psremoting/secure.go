package psremoting

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/c2conn/c2conn/internal/transport"
)

const (
	soapType = "application/soap+xml;charset=UTF-8"
)

// secure is the link over https: TLS keeps the messages, and the client signs in.
type secure struct {
	client    *http.Client
	url       string
	userAgent string
}

func newSecure(o Options, u *url.URL) *secure {
	c := *o.HTTP
	c.CheckRedirect = transport.NoRedirect // credentials go to nobody whom the user did not name
	return &secure{client: &c, url: u.String(), userAgent: o.UserAgent}
}

// post implements link.
func (s *secure) post(ctx context.Context, id string, envelope []byte) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(envelope))
	if err != nil {
		return reply{}, err
	}
	common(req.Header, id, s.userAgent)
	req.Header.Set("Content-Type", soapType)
	res, err := s.client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // method and address say nothing to an admin
		}
		return reply{}, err
	}
	defer res.Body.Close()
	body, err := readBody(res)
	if err != nil {
		return reply{}, err
	}
	return reply{res.StatusCode, res.Header, body}, nil
}

// close implements link.
func (s *secure) close() {}

// common sets the header that both links send.
func common(h http.Header, id, userAgent string) {
	// IIS compresses even where nobody asked for it, unless it is told not to.
	h.Set("Accept-Encoding", "identity")
	h.Set("Client-Request-Id", id)
	if userAgent != "" {
		h.Set("User-Agent", userAgent)
	}
}

// readBody reads an answer up to the limit.
func readBody(res *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(res.Body, answerLimit+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > answerLimit {
		return nil, errTooBig
	}
	return body, nil
}
