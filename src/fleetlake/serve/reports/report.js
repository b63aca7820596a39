// The report's map, and a speed profile over distance for each day of a device that is alone on it.

const KINDS = Object.keys(SHAPES).filter((kind) => data.marks.some((mark) => (mark.kind ?? "stop") === kind));
const hiddenKinds = new Set();
const profiles = new Map(); // track: its chart and what it says of a point
const marksOf = (day) => data.marks.filter((mark) => !hiddenKinds.has(mark.kind ?? "stop") && (!day || mark.day === day));

function addProfile(track) {
  const card = addTo(byId("profiles"), "section", "card"), head = addTo(card, "div", "head"), title = addTo(head, "h2");
  title.id = `profile-${profiles.size}`;
  title.textContent = `Speed over distance${data.spansDays ? `, ${longDay(track.day)}` : ""}`;
  if (track.limits.length) addTo(head, "small").textContent = "dashed: the road’s limit";
  const said = addTo(head, "output"), svg = draw(card, "svg", { class: "chart", tabindex: 0, role: "img", "aria-labelledby": title.id });
  profiles.set(track, { chart: createChart(svg, { onPoint: point, onChoose() {} }), said });
}

function addTo(parent, name, style = "") {
  const element = Object.assign(document.createElement(name), { className: style });
  parent.append(element);
  return element;
}

function show(map, keepView) {
  map.show({ day: "", device: data.device, tracks, marks: marksOf("") }, keepView);
  for (const [track, { chart }] of profiles) chart.show({ device: track.device, tracks: [track], marks: marksOf(track.day) }, "way");
}

function point(now) {
  map.cursor(now);
  for (const [track, { chart, said }] of profiles) {
    chart.cursor(now?.track === track ? now : null);
    said.textContent = now?.track === track ? describe(now) : "";
  }
}

const map = tracks.length ? createMap(byId("map"), byId("map-tip"), { onPoint: point, onChoose() {} }) : null;
if (map) {
  if (data.device) tracks.forEach(addProfile);
  fillLegend(tracks, KINDS, (kind, on) => {
    if (on) hiddenKinds.delete(kind); else hiddenKinds.add(kind);
    show(map, true);
  });
  wireZoom(map);
  show(map);
}
