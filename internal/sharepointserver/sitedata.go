package sharepointserver

import (
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

const (
	nsEnvelope   = "http://schemas.xmlsoap.org/soap/envelope/"
	nsSharePoint = "http://schemas.microsoft.com/sharepoint/soap/"
	// databasesLimit is the most content databases that are asked: SharePoint supports
	// 500 in a farm (learn.microsoft.com/sharepoint/install/software-boundaries-limits-2019).
	databasesLimit = 1000
)

var (
	errNoDatabases   = errors.New("the web application names no content database")
	errManyDatabases = errors.New("there are too many")
)

// siteData lists by GetContent: the content databases of the web application, and the
// site collections in each.
//
// Source: [MS-SITEDATS], sections 3.1.4.5.2.9 (VirtualServer) and 3.1.4.5.3.1
// (ContentDatabases). The answer to a content database comes whole, not in pages.
func (l *lister) siteData(ctx context.Context, at *url.URL) error {
	at = at.JoinPath("_vti_bin", "SiteData.asmx")
	a, text, err := l.client.getContent(ctx, at, "VirtualServer", "")
	if err != nil {
		return err
	}
	databases, err := attributes(text, "ID", "VirtualServer", "ContentDatabases", "ContentDatabase")
	if err != nil {
		return a.unreadable(err)
	}
	if len(databases) == 0 {
		return a.unreadable(errNoDatabases)
	}
	l.begin(SiteData)
	l.found.Databases = len(databases)
	var (
		first error
		full  *FullError
	)
	read := 0
	for _, id := range databases[:min(len(databases), databasesLimit)] {
		err := l.database(ctx, at, id)
		switch {
		case err == nil:
			read++
		case ends(ctx, err):
			return err
		case errors.As(err, &full):
			l.found.Partial = err
			return nil
		case first == nil:
			first = err
		}
	}
	if read == 0 {
		return first
	}
	if read < len(databases) {
		l.found.Partial = fmt.Errorf("only %d of %d content databases could be read: %w", read, len(databases), cmp.Or(first, errManyDatabases))
	}
	return nil
}

// database lists the site collections in one content database.
func (l *lister) database(ctx context.Context, at *url.URL, id string) error {
	a, text, err := l.client.getContent(ctx, at, "ContentDatabase", id)
	if err != nil {
		return err
	}
	found, err := attributes(text, "URL", "ContentDatabase", "Sites", "Site")
	if err != nil {
		return a.unreadable(err)
	}
	_, err = l.add(found)
	return err
}

// getContent asks for an object and what is in it: XML without a namespace, as text.
func (c *Client) getContent(ctx context.Context, at *url.URL, kind, id string) (answer, []byte, error) {
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="` + nsEnvelope + `"><soap:Body><GetContent xmlns="` + nsSharePoint + `"><objectType>` + kind + `</objectType>`)
	if id != "" {
		b.WriteString("<objectId>")
		if err := xml.EscapeText(&b, []byte(id)); err != nil {
			return answer{}, nil, err
		}
		b.WriteString("</objectId>")
	}
	b.WriteString(`<retrieveChildItems>true</retrieveChildItems><securityOnly>false</securityOnly></GetContent></soap:Body></soap:Envelope>`)
	a, err := c.send(ctx, "SiteData", http.MethodPost, at, http.Header{
		"Content-Type": {"text/xml; charset=utf-8"}, "Accept": {"text/xml"}, "Soapaction": {`"` + nsSharePoint + `GetContent"`},
	}, b.Bytes())
	if err != nil {
		return a, nil, err
	}
	text, err := envelope(a.body)
	if err != nil {
		return a, nil, a.unreadable(err)
	}
	return a, text, nil
}

// envelope takes the result out of the answer to GetContent.
func envelope(body []byte) ([]byte, error) {
	root, found, err := texts(body)
	if err != nil {
		return nil, err
	}
	text, ok := found["GetContentResult"]
	if root != (xml.Name{Space: nsEnvelope, Local: "Envelope"}) || !ok {
		return nil, errXML
	}
	return []byte(text), nil
}
