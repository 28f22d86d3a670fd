package onprem

import (
	"errors"
	"fmt"
	"slices"

	"github.com/c2conn/c2conn/internal/sim/soap"
)

// ErrVersion marks a version of Exchange Server that is not simulated.
var ErrVersion = errors.New("unknown version of Exchange Server")

// Version is a version of Exchange Server.
type Version struct {
	Name    string // "SE", "2019", "2016", "2013"
	Title   string // as administrators call it
	Build   string // as ServerVersionInfo and Get-ExchangeServer number it
	Display string // AdminDisplayVersion

	number  soap.Build
	schemas []string // values of RequestServerVersion that it knows
}

// Versions are those that can be simulated, the newest first. All but SE are out of
// support: 2013 since 2023-04-11, 2016 and 2019 since 2025-10-14.
//
// Source: learn.microsoft.com/exchange/new-features/build-numbers-and-release-dates
// and .../web-service-reference/requestserverversion. Unsure: the newest schema that
// each build tells in the attribute Version of ServerVersionInfo.
func Versions() []Version {
	old := []string{"Exchange2007", "Exchange2007_SP1", "Exchange2010", "Exchange2010_SP1", "Exchange2010_SP2", "Exchange2013", "Exchange2013_SP1"}
	later := slices.Concat(old, []string{"Exchange2015", "Exchange2016", "V2015_10_05", "V2016_01_06", "V2016_04_13", "V2016_07_13", "V2016_10_10", "V2017_01_07", "V2017_04_14", "V2017_07_11"})
	newest := slices.Concat(later, []string{"V2017_10_09", "V2018_01_08"})
	return []Version{
		makeVersion("SE", "Exchange Server SE RTM", soap.Build{Major: 15, Minor: 2, Build: 2562, Revision: 17, Schema: "V2017_07_11"}, newest),
		makeVersion("2019", "Exchange Server 2019 CU15", soap.Build{Major: 15, Minor: 2, Build: 1748, Revision: 10, Schema: "V2017_07_11"}, newest),
		makeVersion("2016", "Exchange Server 2016 CU23", soap.Build{Major: 15, Minor: 1, Build: 2507, Revision: 6, Schema: "V2017_07_11"}, later),
		makeVersion("2013", "Exchange Server 2013 CU23", soap.Build{Major: 15, Minor: 0, Build: 1497, Revision: 2, Schema: "V2_23"}, old),
	}
}

func makeVersion(name, title string, b soap.Build, schemas []string) Version {
	return Version{
		Name: name, Title: title, number: b, schemas: schemas,
		Build:   fmt.Sprintf("%d.%d.%d.%d", b.Major, b.Minor, b.Build, b.Revision),
		Display: fmt.Sprintf("Version %d.%d (Build %d.%d)", b.Major, b.Minor, b.Build, b.Revision),
	}
}

// versionOf finds a version by its name; "" is the newest.
func versionOf(name string) (Version, error) {
	all := Versions()
	if name == "" {
		return all[0], nil
	}
	for _, v := range all {
		if v.Name == name {
			return v, nil
		}
	}
	return Version{}, fmt.Errorf("%w: %q", ErrVersion, name)
}

// packed is the build as Autodiscover tells it in ServerVersion: major and minor
// version and the build in 32 bits, the top ones and bit 15 set.
func (v Version) packed() string {
	n := v.number
	return fmt.Sprintf("%08X", 0x70008000|n.Major<<22|n.Minor<<16|n.Build)
}

// channelBinding tells whether setup switches Extended Protection on: since
// Exchange Server 2019 CU14.
func (v Version) channelBinding() bool { return v.number.Major == 15 && v.number.Minor == 2 }
