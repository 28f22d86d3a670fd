package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/microsoft/kiota-abstractions-go/authentication"
	"github.com/microsoft/kiota-abstractions-go/serialization"
	khttp "github.com/microsoft/kiota-http-go"
	jsonform "github.com/microsoft/kiota-serialization-json-go"

	"github.com/c2conn/c2conn/internal/transport"
)

const service = "Microsoft Graph"

// Options are what New needs.
type Options struct {
	BaseURL string // e.g. https://graph.microsoft.com/v1.0
	Token   func(ctx context.Context, claims string) (string, error)
	HTTP    *http.Client     // of transport.New
	Clock   transport.Clock  // nil means the computer's; it measures the waits for replication
	Now     func() time.Time // nil means Clock's
}

// Client asks Microsoft Graph v1.0. It is safe for use by several goroutines.
type Client struct {
	o       Options
	base    *url.URL
	adapter func() (*khttp.NetHttpRequestAdapter, error)
	writing chan struct{} // full while a write is under way: two at a time conflict in the tenant
}

// New checks o and returns a Client. Nothing is sent yet, and the SDK is not
// set up before the first call.
func New(o Options) (*Client, error) {
	o.BaseURL = strings.TrimRight(o.BaseURL, "/")
	base, err := url.Parse(o.BaseURL)
	if err != nil || base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("the Microsoft Graph address %q is no https address", transport.CleanText(o.BaseURL, 200))
	}
	if o.Token == nil || o.HTTP == nil {
		return nil, errors.New("graph: Options.Token or Options.HTTP is missing")
	}
	if o.Clock == nil {
		o.Clock = transport.SystemClock()
	}
	if o.Now == nil {
		o.Now = o.Clock.Now
	}
	c := &Client{o: o, base: base, writing: make(chan struct{}, 1)}
	c.adapter = sync.OnceValues(c.newAdapter)
	return c, nil
}

func (c *Client) newAdapter() (*khttp.NetHttpRequestAdapter, error) {
	// Own registries: the global ones belong to the whole process.
	read := serialization.NewParseNodeFactoryRegistry()
	read.ContentTypeAssociatedFactories["application/json"] = jsonform.NewJsonParseNodeFactory()
	write := serialization.NewSerializationWriterFactoryRegistry()
	write.ContentTypeAssociatedFactories["application/json"] = jsonform.NewJsonSerializationWriterFactory()

	// Outermost first. Retry, redirect and compression of kiota are left out on
	// purpose: their order is random and the first breaks the last.
	var chain http.RoundTripper = transport.Bearer(c.o.HTTP.Transport, c.base, c.o.Token)
	chain = &recorder{next: chain}
	chain = khttp.NewCustomTransportWithParentTransport(chain, khttp.NewParametersNameDecodingHandler())
	client := &http.Client{Transport: chain, CheckRedirect: transport.NoRedirect}

	// The token is put on by transport.Bearer, which knows the one host it is for
	// and answers claims challenges; kiota's provider would do neither for a cloud
	// that it does not know.
	a, err := khttp.NewNetHttpRequestAdapterWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient(
		&authentication.AnonymousAuthenticationProvider{}, read, write, client)
	if err != nil {
		return nil, fmt.Errorf("set up Microsoft Graph: %w", err)
	}
	a.SetBaseUrl(c.o.BaseURL)
	return a, nil
}

// call runs one request and turns whatever goes wrong into an *Error.
func call[T any](ctx context.Context, c *Client, op string, ask func(context.Context, *khttp.NetHttpRequestAdapter) (T, error)) (_ T, err error) {
	var none T
	a, err := c.adapter()
	if err != nil {
		return none, err
	}
	seen := &seen{}
	ctx = context.WithValue(transport.Service(ctx, service), seenKey{}, seen)
	// The SDK panics on some answers that are JSON but not Graph's.
	defer func() {
		if p := recover(); p != nil {
			err = c.failure(op, seen, errUnreadable)
		}
	}()
	v, err := ask(ctx, a)
	if err != nil {
		return none, c.failure(op, seen, err)
	}
	return v, nil
}

// parameters are what a request builder needs to make its address.
func (c *Client) parameters() map[string]string {
	return map[string]string{"baseurl": c.o.BaseURL}
}
