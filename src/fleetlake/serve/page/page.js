"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const TOWNS = [["London", 51.507, -0.128], ["High Wycombe", 51.629, -0.749], ["Oxford", 51.752, -1.258], ["Bicester", 51.9, -1.153],
  ["Banbury", 52.062, -1.34], ["Warwick", 52.282, -1.585], ["Coventry", 52.408, -1.511], ["Birmingham", 52.481, -1.899],
  ["Reading", 51.454, -0.978], ["Aylesbury", 51.816, -0.814], ["Milton Keynes", 52.04, -0.76], ["Northampton", 52.24, -0.902],
  ["Liverpool", 53.408, -2.992], ["Manchester", 53.481, -2.243], ["Leeds", 53.8, -1.549], ["Bristol", 51.454, -2.588]];
const SPEEDS = [[0, "#7a3b8f"], [20, "#c2376b"], [40, "#e8673c"], [60, "#e5a615"], [80, "#5fa83a"], [100, "#1787b8"]];
const HARSH = { acceleration: ["#0f8a5f", "M0 -7L7 6H-7Z"], braking: ["#d3302f", "M0 7L7 -6H-7Z"], cornering: ["#b7791f", "M0 -7L7 0L0 7L-7 0Z"] };

function svg(parent, name, attributes, title) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (title) svg(element, "title", {}).textContent = title;
  parent.append(element);
  return element;
}
const bin = (speed) => SPEEDS.findLastIndex(([from]) => speed >= from);
const clock = (seconds) => [seconds / 3600, (seconds / 60) % 60].map((n) => String(Math.floor(n)).padStart(2, "0")).join(":");
const length = (seconds) => seconds >= 3600 ? `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min` : `${Math.round(seconds / 60)} min`;

function choices(select, values, label) {
  select.replaceChildren(...values.map((value) => new Option(label(value), value)));
}
function kilometres(a, b) {
  const rad = Math.PI / 180, dLat = (b[0] - a[0]) * rad / 2, dLon = (b[1] - a[1]) * rad / 2;
  const h = Math.sin(dLat) ** 2 + Math.cos(a[0] * rad) * Math.cos(b[0] * rad) * Math.sin(dLon) ** 2;
  return 2 * 6371.0088 * Math.asin(Math.sqrt(h));
}
function projection(tracks) {
  const rad = Math.PI / 180, mercator = (lat) => Math.log(Math.tan(Math.PI / 4 + lat * rad / 2)) / rad;
  const lats = tracks.flatMap((t) => t.lat), lons = tracks.flatMap((t) => t.lon);
  const least = (list) => list.reduce((a, b) => Math.min(a, b)), most = (list) => list.reduce((a, b) => Math.max(a, b));
  const box = { west: least(lons), east: most(lons), south: mercator(least(lats)), north: mercator(most(lats)) };
  const pad = Math.max(box.east - box.west, box.north - box.south, 0.02) * 0.07;
  const width = 1000, left = box.west - pad * 1.5, right = box.east + pad * 1.5, top = box.north + pad, bottom = box.south - pad;
  const scale = Math.min(width / (right - left), 760 / (top - bottom)), shift = (width - (right - left) * scale) / 2;
  return { width, height: (top - bottom) * scale, left: left - shift / scale, right: right + shift / scale,
    x: (lon) => (lon - left) * scale + shift, y: (lat) => (top - mercator(lat)) * scale,
    south: 2 * Math.atan(Math.exp(bottom * rad)) / rad - 90, north: 2 * Math.atan(Math.exp(top * rad)) / rad - 90,
    perKm: scale / (111.195 * Math.cos((lats[0] || 0) * rad)) };
}
function drawMap(day, device) {
  const map = byId("map"), tracks = data.tracks.filter((t) => t.day === day);
  map.replaceChildren();
  if (!tracks.length) return;
  const p = projection(tracks), shown = (d) => !device || d === device;
  map.setAttribute("viewBox", `0 0 ${p.width} ${p.height}`);
  const step = p.right - p.left > 1.5 ? 0.5 : p.right - p.left > 0.3 ? 0.1 : 0.02;
  for (let lon = Math.ceil(p.left / step) * step; lon < p.right; lon += step) {
    svg(map, "path", { class: "grid", d: `M${p.x(lon)} 0V${p.height}` });
    svg(map, "text", { x: p.x(lon) + 4, y: p.height - 6 }).textContent = `${Math.abs(lon).toFixed(step < 0.1 ? 2 : 1)}° ${lon < -1e-9 ? "W" : "E"}`;
  }
  for (let lat = Math.ceil(p.south / step) * step; lat < p.north; lat += step) {
    svg(map, "path", { class: "grid", d: `M0 ${p.y(lat)}H${p.width}` });
    svg(map, "text", { x: 4, y: p.y(lat) - 5 }).textContent = `${Math.abs(lat).toFixed(step < 0.1 ? 2 : 1)}° ${lat < 0 ? "S" : "N"}`;
  }
  for (const track of tracks) {
    const paths = SPEEDS.map(() => "");
    for (let i = 1; i < track.lat.length; i++) {
      paths[bin(track.v[i])] += `M${p.x(track.lon[i - 1]).toFixed(1)} ${p.y(track.lat[i - 1]).toFixed(1)}L${p.x(track.lon[i]).toFixed(1)} ${p.y(track.lat[i]).toFixed(1)}`;
    }
    const group = svg(map, "g", shown(track.device) ? {} : { class: "dim" }, `${track.device}, ${clock(track.t[0])} to ${clock(track.t.at(-1))}`);
    paths.forEach((d, i) => d && svg(group, "path", { d, stroke: SPEEDS[i][1], "stroke-width": 4, "stroke-linecap": "round", fill: "none" }));
  }
  for (const stop of data.stops.filter((s) => s.day === day && shown(s.device))) {
    svg(map, "circle", { cx: p.x(stop.lon), cy: p.y(stop.lat), r: Math.min(7 + stop.seconds / 120, 14), fill: "#2b4a9b", stroke: "#fff", "stroke-width": 2, "fill-opacity": 0.85 },
      `${stop.device}: stop at ${stop.clock} for ${length(stop.seconds)}`);
  }
  for (const event of data.harsh.filter((h) => h.day === day && shown(h.device))) {
    const [fill, d] = HARSH[event.kind];
    svg(map, "path", { d, fill, stroke: "#fff", "stroke-width": 1.5, transform: `translate(${p.x(event.lon)} ${p.y(event.lat)})` },
      `${event.device}: harsh ${event.kind}, ${event.peak} m/s² at ${event.clock}`);
  }
  for (const [name, lat, lon] of TOWNS) {
    const x = p.x(lon), y = p.y(lat);
    if (x < 8 || x > p.width - 8 || y < 16 || y > p.height - 8) continue;
    svg(map, "circle", { cx: x, cy: y, r: 3.5, fill: "currentColor" });
    svg(map, "text", { class: "town", x: x > p.width - 110 ? x - 8 : x + 8, y: y - 7, "text-anchor": x > p.width - 110 ? "end" : "start" }).textContent = name;
  }
  const km = [1, 2, 5, 10, 20, 50].findLast((n) => n * p.perKm < 260) || 1, from = p.width - km * p.perKm - 16;
  svg(map, "path", { class: "axis", d: `M${from} ${p.height - 24}v6h${km * p.perKm}v-6`, style: "stroke:currentColor;stroke-width:2" });
  svg(map, "text", { x: from, y: p.height - 30 }).textContent = `${km} km`;
}
function drawProfile(day, device) {
  const chart = byId("profile"), track = data.tracks.find((t) => t.day === day && (!device || t.device === device));
  chart.replaceChildren();
  byId("profile-title").textContent = track ? `Speed over distance: ${track.device}` : "Speed over distance";
  if (!track) return;
  const W = 1000, H = 240, L = 48, B = 30, along = [0];
  for (let i = 1; i < track.lat.length; i++) along.push(along[i - 1] + kilometres([track.lat[i - 1], track.lon[i - 1]], [track.lat[i], track.lon[i]]));
  const total = along.at(-1) || 1, top = Math.max(60, Math.ceil(Math.max(...track.v) / 20) * 20);
  const x = (km) => L + km / total * (W - L - 8), y = (v) => H - B - v / top * (H - B - 10);
  chart.setAttribute("viewBox", `0 0 ${W} ${H}`);
  for (let v = 0; v <= top; v += top > 80 ? 40 : 20) {
    svg(chart, "path", { class: "grid", d: `M${L} ${y(v)}H${W}` });
    svg(chart, "text", { x: L - 6, y: y(v) + 4, "text-anchor": "end" }).textContent = v;
  }
  for (let i = 0; i <= 5; i++) svg(chart, "text", { x: x(total * i / 5), y: H - 8, "text-anchor": i === 5 ? "end" : "middle" }).textContent = `${(total * i / 5).toFixed(total < 20 ? 1 : 0)} km`;
  for (let i = 1; i < along.length; i++) {
    svg(chart, "path", { d: `M${x(along[i - 1]).toFixed(1)} ${y(track.v[i - 1]).toFixed(1)}L${x(along[i]).toFixed(1)} ${y(track.v[i]).toFixed(1)}`, stroke: SPEEDS[bin(track.v[i])][1], "stroke-width": 2.5, "stroke-linecap": "round" },
      `${clock(track.t[i])}: ${track.v[i]} km/h after ${along[i].toFixed(1)} km`);
  }
  for (const event of data.harsh.filter((h) => h.day === day && h.device === track.device)) {
    const near = track.lat.reduce((best, _, i) => {
      const d = kilometres([event.lat, event.lon], [track.lat[i], track.lon[i]]);
      return d < best[0] ? [d, i] : best;
    }, [Infinity, 0])[1];
    const [fill, d] = HARSH[event.kind];
    svg(chart, "path", { d, fill, stroke: "#fff", transform: `translate(${x(along[near])} 14)` }, `harsh ${event.kind}, ${event.peak} m/s² at ${event.clock}`);
  }
}
function fill(table, heads, rows, choose) {
  table.replaceChildren();
  const head = table.createTHead().insertRow();
  for (const text of heads) head.append(Object.assign(document.createElement("th"), { textContent: text, scope: "col" }));
  const body = table.createTBody();
  for (const cells of rows) {
    const row = body.insertRow();
    for (const text of cells) row.insertCell().textContent = text;
    if (choose) choose(row, cells);
  }
}
function show() {
  const day = byId("day").value, device = byId("vehicle").value;
  const trips = data.trips.filter((t) => t.day === day && (!device || t.device === device)), of = (list) => list.filter((e) => e.day === day && (!device || e.device === device));
  const tiles = [[new Set(trips.map((t) => t.device)).size, "vehicles"], [trips.length, "trips"], [Math.round(trips.reduce((sum, t) => sum + t.km, 0)).toLocaleString("en"), "kilometres"],
    [of(data.stops).length, "stops"], [of(data.harsh).length, "harsh events"]];
  byId("tiles").replaceChildren(...tiles.map(([value, label]) => {
    const tile = Object.assign(document.createElement("div"), { className: "tile" });
    tile.append(Object.assign(document.createElement("b"), { textContent: value }), Object.assign(document.createElement("span"), { textContent: label }));
    return tile;
  }));
  drawMap(day, device);
  drawProfile(day, device);
  fill(byId("trips"), ["Vehicle", "Start", "End", "Duration", "km", "Average km/h", "Top km/h", ""],
    data.trips.filter((t) => t.day === day).map((t) => [t.device, t.began, t.ended, length(t.seconds), t.km.toFixed(1), t.average ?? "", t.top ?? "", t.open ? "open" : ""]),
    (row, cells) => {
      row.tabIndex = 0;
      row.className = cells[0] === device ? "chosen" : "";
      const choose = () => { byId("vehicle").value = cells[0] === device ? "" : cells[0]; show(); };
      row.addEventListener("click", choose);
      row.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(); });
    });
}
function legend() {
  const element = byId("legend");
  SPEEDS.forEach(([from, colour], i) => {
    const item = document.createElement("span"), swatch = document.createElement("i");
    swatch.style.background = colour;
    item.append(swatch, SPEEDS[i + 1] ? `${from}–${SPEEDS[i + 1][0]} km/h` : `over ${from} km/h`);
    element.append(item);
  });
  const mark = (draw, text) => {
    const item = document.createElement("span"), icon = svg(item, "svg", { viewBox: "-9 -9 18 18", "aria-hidden": "true" });
    draw(icon);
    item.append(text);
    element.append(item);
  };
  mark((icon) => svg(icon, "circle", { r: 7, fill: "#2b4a9b" }), "stop");
  for (const [kind, [colour, d]] of Object.entries(HARSH)) mark((icon) => svg(icon, "path", { d, fill: colour }), `harsh ${kind}`);
}
const days = [...new Set([...data.tracks, ...data.trips].map((t) => t.day))].sort().reverse();
choices(byId("day"), days, (day) => day);
byId("day").addEventListener("change", () => { vehicles(); show(); });
byId("vehicle").addEventListener("change", show);
function vehicles() {
  const devices = [...new Set(data.tracks.filter((t) => t.day === byId("day").value).map((t) => t.device))].sort();
  choices(byId("vehicle"), ["", ...devices], (device) => device || "all");
}
byId("counts-card").hidden = !data.counts.length;
fill(byId("counts"), ["Topic", "Produced", "Landed", "Quarantined", "Deduplicated"],
  data.counts.map((c) => [c.topic, ...[c.produced, c.landed, c.quarantined, c.deduplicated].map((n) => n.toLocaleString("en"))]));
legend();
vehicles();
show();
