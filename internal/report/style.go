package report

import "github.com/c2conn/c2conn/internal/webpage"

// style is the common look with tables, and how it prints: on A4, light, with every
// section open, the headings of tables repeated and no row cut in two. Browsers that
// know page margin boxes number the pages.
//
// Sources: CSS Paged Media Module Level 3, section 4 (margin boxes); CSS
// Pseudo-Elements Level 4, ::details-content.
const style = webpage.Base + `main,footer{max-width:61rem;margin:0 auto;padding:0 1.5rem}
header{margin:0 max(1.5rem,calc(50% - 30.5rem));padding:1.25rem 0 .5rem}
footer{color:var(--soft);font-size:.85rem;padding:1rem 1.5rem 3rem}
h2{font-size:1.2rem;margin:2.25rem 0 .5rem}
h3{display:inline;font-size:1rem;margin:0;overflow-wrap:anywhere}
.good{color:var(--good)}.calm{color:var(--calm)}.bad{color:var(--bad)}
.soft{color:var(--soft)}
.bar{display:block;width:100%;height:.6rem;margin:1rem 0 .5rem;border-radius:.3rem}
.left{display:block;width:100%;max-width:8rem;height:.3rem;margin-top:.2rem;border-radius:.15rem}
.bar rect,.left rect{fill:var(--line)}
.bar .good,.left .good{fill:var(--good)}.bar .calm,.left .calm{fill:var(--calm)}.bar .bad,.left .bad{fill:var(--bad)}
.counts{display:flex;flex-wrap:wrap;gap:.25rem 2rem;list-style:none;margin:0;padding:0}
table{width:100%;border-collapse:collapse;font-size:.92rem}
caption{text-align:left;color:var(--soft);padding-bottom:.25rem}
th,td{text-align:left;vertical-align:top;padding:.45rem .9rem .45rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
thead th{color:var(--soft);font-weight:600;font-size:.85rem}
tbody th{font-weight:600;min-width:6.5rem}
td.status{white-space:nowrap}td.wide:not(.took){min-width:5rem}
td.took,th.took{text-align:right;padding-right:0;white-space:nowrap;font-variant-numeric:tabular-nums}
a{color:inherit;text-underline-offset:.15em}
a:focus-visible,summary:focus-visible{outline:2px solid var(--ink);outline-offset:2px}
details{border:1px solid var(--line);border-radius:.5rem;margin:.75rem 0;padding:.7rem 1rem}
summary{cursor:pointer}
details dl{margin:1rem 0}
.advice{border-left:3px solid var(--line);margin:1rem 0;padding:.1rem 0 .1rem 1rem}
.advice.bad{border-color:var(--bad)}.advice.calm{border-color:var(--calm)}
.advice.bad>*,.advice.calm>*{color:var(--ink)}
.advice h4{font-size:1rem;margin:.25rem 0}
ol{margin:.5rem 0;padding-left:1.5rem}li{margin:.2rem 0;overflow-wrap:anywhere}
code{font:.88em/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
@media (max-width:44rem){main,footer{padding-left:1rem;padding-right:1rem}header{margin:0 1rem}.wide{display:none}details{padding:.6rem .75rem}}
@page{size:A4;margin:16mm 14mm 18mm;@bottom-right{content:counter(page) " / " counter(pages);font:9pt system-ui,sans-serif;color:#5b6470}}
@media print{:root{color-scheme:light;--ink:#1c2024;--soft:#5b6470;--line:#d5dae0;--paper:#fff;--good:#14713d;--calm:#865400;--bad:#b3261e}
body{font-size:10pt;-webkit-print-color-adjust:exact;print-color-adjust:exact}
main,footer{max-width:none;padding-left:0;padding-right:0}header{margin:0;padding-top:0}footer{padding-bottom:0}
.wide{display:table-cell}
details{border:0;border-top:1px solid var(--line);border-radius:0;padding:.5rem 0}
details::details-content{content-visibility:visible;block-size:auto}
summary{list-style:none;break-after:avoid}
h2,h3,h4,caption{break-after:avoid}thead{display:table-header-group}tr,.advice,dl{break-inside:avoid}
a{text-decoration:none}}
`
