package sharepointserver

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
)

// Limits of the search. Sources: pnp/PnP-Tools issue 333 for the page, and
// learn.microsoft.com/sharepoint/dev/general-development/pagination-for-large-result-sets
// for the row.
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
	l.begin(Search)
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
		var j searchAnswer
		a, err := l.client.object(ctx, "search", at, query.Encode(), &j)
		if err != nil {
			return partial(err)
		}
		p, ok := j.page()
		if !ok {
			return partial(a.unreadable(errJSON))
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

// searchAnswer is what /_api/search/query says; the verbose form has it in "query".
type searchAnswer struct {
	Query              *struct{ PrimaryQueryResult queryResult }
	PrimaryQueryResult queryResult
}

type queryResult struct {
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

// page takes out what is wanted; false where there are no results, not even none.
func (a searchAnswer) page() (page, bool) {
	r := a.PrimaryQueryResult.RelevantResults
	if a.Query != nil {
		r = a.Query.PrimaryQueryResult.RelevantResults
	}
	if r == nil {
		return page{}, false
	}
	p := page{rows: len(r.Table.Rows), total: r.TotalRows}
	for _, row := range r.Table.Rows {
		var site, path text
		for _, c := range row.Cells {
			switch c.Key {
			case "SPSiteUrl":
				site = c.Value
			case "Path":
				path = c.Value
			}
		}
		p.addresses = append(p.addresses, string(cmp.Or(site, path)))
	}
	return p, true
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
