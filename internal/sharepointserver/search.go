package sharepointserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
)

// Limits of the search: learn.microsoft.com/sharepoint/dev/general-development/customizing-search-results-in-sharepoint
// for the page, ".../pagination-for-large-result-sets" for the row.
const (
	pageRows   = 500    // of a page
	rowsLimit  = 50_000 // the last row that a page may start with
	pagesLimit = 1000   // a server may give smaller pages than asked for, but not for ever
)

// search lists what the search service finds, page by page.
//
// Source: learn.microsoft.com/sharepoint/dev/general-development/sharepoint-search-rest-api-overview.
func (l *lister) search(ctx context.Context, at *url.URL) error {
	at = at.JoinPath("_api", "search", "query")
	l.found = Collections{Way: Search}
	rows, pages := 0, 0
	// What fails after the first page leaves the pages before it.
	partial := func(err error) error {
		if len(l.found.URLs) == 0 || ends(ctx, err) {
			return err
		}
		l.found.Partial = fmt.Errorf("after %d site collections: %w", len(l.found.URLs), err)
		return nil
	}
	for {
		query := url.Values{
			"querytext": {"'contentclass:STS_Site'"}, "selectproperties": {"'SPSiteUrl,Path'"}, "trimduplicates": {"false"},
			"rowlimit": {strconv.Itoa(pageRows)}, "startrow": {strconv.Itoa(rows)}, "sortlist": {"'[docid]:ascending'"},
		}
		a, err := l.client.get(ctx, "search", at, query.Encode())
		if err != nil {
			return partial(err)
		}
		p, err := parsePage(a.body)
		if err != nil {
			return partial(a.unreadable(err))
		}
		added, err := l.add(p.addresses)
		if err != nil {
			return partial(err)
		}
		pages++
		rows += p.rows
		switch {
		case p.rows == 0, rows >= p.total:
			return nil
		case added == 0:
			return partial(a.unreadable(fmt.Errorf("a page of %d results has none that is new", p.rows)))
		case rows > rowsLimit, pages == pagesLimit:
			return partial(fmt.Errorf("the search gives no more than %d of %d results", rows, p.total))
		}
	}
}

// page is a page of search results.
type page struct {
	addresses   []string // of site collections
	rows, total int
}

// parsePage reads the answer of /_api/search/query, in the verbose form or a plain one.
func parsePage(body []byte) (page, error) {
	var j struct {
		Query              *results // verbose
		PrimaryQueryResult json.RawMessage
	}
	if err := decode(body, &j); err != nil {
		return page{}, err
	}
	r := j.Query
	if r == nil {
		r = &results{}
		if json.Unmarshal(j.PrimaryQueryResult, &r.PrimaryQueryResult) != nil {
			return page{}, errJSON
		}
	}
	if r.PrimaryQueryResult.RelevantResults == nil {
		return page{}, errJSON
	}
	relevant := r.PrimaryQueryResult.RelevantResults
	p := page{rows: len(relevant.Table.Rows), total: relevant.TotalRows}
	for _, row := range relevant.Table.Rows {
		var site, path text
		for _, c := range row.Cells {
			switch c.Key {
			case "SPSiteUrl":
				site = c.Value
			case "Path":
				path = c.Value
			}
		}
		if site == "" {
			site = path
		}
		p.addresses = append(p.addresses, string(site))
	}
	return p, nil
}

// results is what the search answers.
type results struct {
	PrimaryQueryResult struct {
		RelevantResults *struct {
			TotalRows int
			Table     struct {
				Rows list[struct {
					Cells list[struct {
						Key   string
						Value text
					}]
				}]
			}
		}
	}
}

// list is a JSON array, which the verbose form puts into "results".
type list[T any] []T

// UnmarshalJSON reads both forms.
func (l *list[T]) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		var o struct{ Results []T }
		err := json.Unmarshal(b, &o)
		*l = o.Results
		return err
	}
	return json.Unmarshal(b, (*[]T)(l))
}
