package graph

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	kiota "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoft/kiota-abstractions-go/serialization"
	khttp "github.com/microsoft/kiota-http-go"
	jsonform "github.com/microsoft/kiota-serialization-json-go"

	"github.com/c2conn/c2conn/internal/transport"
)

// effect says what a request does to the tenant, and so whether it may be sent twice.
type effect int

const (
	reads    effect = iota
	creates         // a second one makes a second object
	rewrites        // a second one changes nothing
)

type adapter = *khttp.NetHttpRequestAdapter

// operation is a request in the making. Its address comes from the SDK's builders;
// the answer is read here, because the SDK panics on some odd ones and forgets the
// status of others.
type operation struct {
	name    string // what is done, for errors: "create application"
	object  string // what has perhaps not replicated yet: "the new application"
	effect  effect
	fields  []string // $select
	filter  string   // $filter
	request func(context.Context, adapter) (*kiota.RequestInformation, error)
	read    func(status int, body []byte) error // nil where the answer has no content
}

// ask runs o: with the waits for a busy tenant and, in a context of Fresh, for
// replication.
func (c *Client) ask(ctx context.Context, o operation) error {
	p := c.patience(ctx)
	for {
		err := c.once(ctx, o)
		e, ok := errors.AsType[*Error](err)
		if !ok {
			return err
		}
		// Not every cloud knows every property; an answer without it is better than none.
		if f := unknownField(e); slices.Contains(o.fields, f) {
			o.fields = slices.DeleteFunc(slices.Clone(o.fields), func(s string) bool { return s == f })
			continue
		}
		if !p.wait(ctx, o.object, e) {
			return err
		}
	}
}

// unknownField returns the property of $select that the service does not know.
//
// Source: the answer "Parsing OData Select and Expand failed: Could not find a
// property named '…' on type '…'.", e.g. microsoft-graph-docs issue 9988.
func unknownField(e *Error) string {
	if e.Status != http.StatusBadRequest {
		return ""
	}
	_, rest, _ := strings.Cut(e.Message, "Could not find a property named '")
	name, _, _ := strings.Cut(rest, "'")
	return name
}

// once sends o once (the transport repeats what may be repeated) and reads the
// answer. One write of the Client is under way at a time.
func (c *Client) once(ctx context.Context, o operation) error {
	switch o.effect {
	case rewrites:
		ctx = transport.Repeatable(ctx)
		fallthrough
	case creates:
		select {
		case c.writing <- struct{}{}:
			defer func() { <-c.writing }()
		case <-ctx.Done():
			return &Error{Op: o.name, Err: ctx.Err()}
		}
	}
	_, err := call(ctx, c, o.name, func(ctx context.Context, a adapter) (struct{}, error) {
		info, err := o.build(ctx, a)
		if err != nil {
			return struct{}{}, err
		}
		v, err := a.SendPrimitive(ctx, info, "[]byte", nil)
		if err != nil {
			return struct{}{}, err
		}
		body, _ := v.([]byte)
		status := ctx.Value(seenKey{}).(*seen).status
		return struct{}{}, o.accept(status, body)
	})
	if e, ok := errors.AsType[*Error](err); ok && o.effect != reads {
		e.lost = uncertain(e)
	}
	return err
}

func (o operation) build(ctx context.Context, a adapter) (*kiota.RequestInformation, error) {
	info, err := o.request(ctx, a)
	if err != nil {
		return nil, err
	}
	if o.fields != nil {
		info.QueryParameters["%24select"] = strings.Join(o.fields, ",")
		list := make([]any, len(o.fields))
		for i, f := range o.fields {
			list[i] = f
		}
		info.QueryParametersAny["%24select"] = list
	}
	if o.filter != "" {
		info.QueryParameters["%24filter"] = o.filter
	}
	return info, nil
}

// accept reads an answer that was no refusal.
func (o operation) accept(status int, body []byte) error {
	switch {
	case status < 200 || status > 299:
		return errUnreadable
	case o.read != nil:
		return readSafely(o.read, status, body)
	case len(body) > 0 && !json.Valid(body):
		return errUnreadable // some proxy's page
	}
	return nil
}

// readSafely survives the SDK's panics.
func readSafely(read func(int, []byte) error, status int, body []byte) (err error) {
	defer func() {
		if recover() != nil {
			err = errUnreadable
		}
	}()
	return read(status, body)
}

// uncertain reports whether a write may have been carried out although it failed
// with e.
func uncertain(e *Error) bool {
	if e.Err != nil {
		switch transport.KindOf(e.Err) {
		case transport.KindCut, transport.KindTimeout, transport.KindTooLarge, transport.KindCanceled, transport.KindOther:
			return true
		}
		return errors.Is(e.Err, errNoPart)
	}
	return e.Status < 300 || e.Status == http.StatusRequestTimeout || e.Status >= 500 && !concurrent(e)
}

// answer is the JSON of one object.
type answer interface{ complete() bool }

// into returns a reader for operation.read that fills v.
func into[J any, P interface {
	*J
	answer
}](v P) func(int, []byte) error {
	return func(_ int, body []byte) error {
		*v = *new(J) // of an answer before this one
		if json.Unmarshal(body, v) != nil || !v.complete() {
			return errUnreadable
		}
		return nil
	}
}

// parsed returns a reader for operation.read that hands use a model of the SDK.
func parsed[T serialization.Parsable](make serialization.ParsableFactory, use func(T) error) func(int, []byte) error {
	return func(_ int, body []byte) error {
		node, err := jsonform.NewJsonParseNode(body)
		if err != nil || node == nil {
			return errUnreadable
		}
		v, err := node.GetObjectValue(make)
		if err != nil {
			return errUnreadable
		}
		model, ok := v.(T)
		if !ok {
			return errUnreadable
		}
		return use(model)
	}
}

// address makes a request whose builder in the SDK would cost more than it
// gives: a package of its own for one GET.
func (c *Client) address(method kiota.HttpMethod, template string, path ...string) func(context.Context, adapter) (*kiota.RequestInformation, error) {
	return func(context.Context, adapter) (*kiota.RequestInformation, error) {
		parameters := c.parameters()
		for i := 0; i+1 < len(path); i += 2 {
			parameters[path[i]] = path[i+1]
		}
		info := kiota.NewRequestInformationWithMethodAndUrlTemplateAndPathParameters(method, "{+baseurl}"+template, parameters)
		info.Headers.TryAdd("Accept", "application/json")
		return info, nil
	}
}

// withBody makes the request of one of the SDK's builders with a body that holds
// what v does, and nothing else.
func withBody(method kiota.HttpMethod, at kiota.BaseRequestBuilder, v any) (*kiota.RequestInformation, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	info := kiota.NewRequestInformationWithMethodAndUrlTemplateAndPathParameters(method, at.UrlTemplate, at.PathParameters)
	info.Headers.TryAdd("Accept", "application/json")
	info.SetStreamContentAndContentType(body, "application/json")
	return info, nil
}

// quoted is s inside the quotes of an OData literal.
func quoted(s string) string { return strings.ReplaceAll(s, "'", "''") }
