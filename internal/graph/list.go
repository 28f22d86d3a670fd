package graph

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"

	kiota "github.com/microsoft/kiota-abstractions-go"
)

// Bounds of a list: no tenant has as much of what c2conn lists.
const (
	mostPages = 500
	mostItems = 50_000
)

var (
	errEndless = errors.New("the list does not end")
	errForeign = errors.New("the list goes on at an address that is not Microsoft Graph's: not followed")
)

// item is the JSON of one object in a list.
type item[T any] interface {
	// plain returns the object; false when the JSON cannot be one.
	plain() (T, bool)
}

// listing reads a list page by page.
//
// Source: learn.microsoft.com/graph/paging.
type listing[J item[T], T any] struct {
	operation
	c     *Client
	items []T
	next  string
	been  map[string]bool
}

func newListing[J item[T], T any](c *Client, o operation) *listing[J, T] {
	l := &listing[J, T]{operation: o, c: c, been: map[string]bool{}}
	l.read = l.page
	return l
}

// page takes one page in.
func (l *listing[J, T]) page(_ int, body []byte) error {
	var p struct {
		Value []J  `json:"value"`
		Next  text `json:"@odata.nextLink"`
	}
	if json.Unmarshal(body, &p) != nil || p.Value == nil {
		return errUnreadable
	}
	items := make([]T, len(p.Value))
	for i, j := range p.Value {
		var ok bool
		if items[i], ok = j.plain(); !ok {
			return errUnreadable
		}
	}
	l.items = append(l.items, items...)
	l.next = string(p.Next)
	return nil
}

// rest reads the pages after the first.
func (l *listing[J, T]) rest(ctx context.Context) error {
	for l.next != "" {
		if l.been[l.next] || len(l.been) >= mostPages || len(l.items) > mostItems {
			return &Error{Op: l.name, Err: errEndless}
		}
		l.been[l.next] = true
		more, err := l.c.following(l.operation, l.next)
		if err != nil {
			return err
		}
		if err := l.c.ask(ctx, more); err != nil {
			return err
		}
	}
	return nil
}

// following asks for the page after those that o has read, at the address that
// the one before it named.
func (c *Client) following(o operation, next string) (operation, error) {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "https" || !strings.EqualFold(u.Host, c.base.Host) || u.User != nil || !strings.HasPrefix(u.Path, c.base.Path+"/") {
		return operation{}, &Error{Op: o.name, Err: errForeign}
	}
	return operation{name: o.name, object: o.object, read: o.read, request: func(context.Context, adapter) (*kiota.RequestInformation, error) {
		info := kiota.NewRequestInformation()
		info.Method = kiota.GET
		info.SetUri(*u)
		info.Headers.TryAdd("Accept", "application/json")
		return info, nil
	}}, nil
}

// list reads a whole list.
func list[J item[T], T any](ctx context.Context, c *Client, o operation) ([]T, error) {
	l := newListing[J, T](c, o)
	if err := c.ask(ctx, l.operation); err != nil {
		return nil, err
	}
	if err := l.rest(ctx); err != nil {
		return nil, err
	}
	return l.items, nil
}
