// The chart: the chosen vehicle's speed along its way or day; with none chosen, how far every vehicle got by when.

const EDGE = { left: 44, right: 14, top: 22, bottom: 24 };
const ROUND = [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000];
const ROUND_TIMES = [60, 300, 600, 1800, 3600, 7200, 10800, 14400, 21600];

/**
 * Draws into an SVG element. show(shown, axis): shown as the map's; axis "way" or "t", of the chosen vehicle's speed.
 * time(t): a line at that time, null for none. cursor(point): a line at that point, or null. onPoint and onChoose: as the map's.
 */
function createChart(svg, { onPoint, onChoose }) {
  const layer = Object.fromEntries(["grid", "lines", "marks", "cursor"].map((name) => [name, draw(svg, "g", { class: name })]));
  let shown = { device: "", tracks: [], marks: [] }, along = "t", track = null, point = null, time = null;
  let width = 0, height = 0, from = 0, to = 1, top = 1;
  const redraw = onceAFrame(render);
  const X = (value) => EDGE.left + ((value - from) / (to - from)) * (width - EDGE.left - EDGE.right);
  const Y = (value) => height - EDGE.bottom - (value / top) * (height - EDGE.top - EDGE.bottom);
  const least = (lists, edge) => lists.reduce((best, list) => Math.min(best, edge(list)), Infinity);
  const most = (lists, edge) => lists.reduce((best, list) => Math.max(best, edge(list)), -Infinity);

  function render() {
    for (const group of Object.values(layer)) group.replaceChildren();
    if (!shown.tracks.length || !width) return;
    const among = track ? [track] : shown.tracks;
    from = along === "way" ? 0 : least(among, (one) => one.t[0]);
    to = Math.max(most(among, (one) => one[along].at(-1)), from + (along === "way" ? 0.1 : 60));
    const limits = track && along === "way" ? track.limits : [];
    const highest = track ? Math.max(30, ...limits.map(([, , kmh]) => kmh), most([track.v], (list) => list.reduce((best, v) => Math.max(best, v ?? 0), 0))) : most(among, (one) => one.way.at(-1));
    top = Math.max(highest * 1.04, 1);
    drawAxes(ROUND.find((n) => top / n <= 6) ?? 2000);
    drawLimits(limits);
    if (track) drawSpeed(); else drawFleet();
    drawCursor();
  }

  function drawAxes(step) {
    for (let value = 0; value <= top; value += step) {
      draw(layer.grid, "path", { d: `M${EDGE.left} ${Y(value)}H${width - EDGE.right}` });
      draw(layer.grid, "text", { x: EDGE.left - 8, y: Y(value) + 4, "text-anchor": "end" }, value);
    }
    draw(layer.grid, "text", track ? { x: EDGE.left - 8, y: 11, "text-anchor": "end" } : { x: EDGE.left, y: 11 }, track ? "km/h" : "km driven");
    const room = Math.max((width - EDGE.left) / 90, 1), choices = along === "way" ? ROUND : ROUND_TIMES;
    const apart = choices.find((n) => (to - from) / n <= room) ?? choices.at(-1);
    for (let value = Math.ceil(from / apart) * apart; value <= to; value += apart) {
      const x = X(value), last = x > width - 40;
      draw(layer.grid, "path", { d: `M${x} ${EDGE.top}V${height - EDGE.bottom}` });
      draw(layer.grid, "text", { x: last ? width - EDGE.right : x, y: height - 6, "text-anchor": last ? "end" : "middle" }, along === "way" ? `${value} km` : clock(value));
    }
  }

  function drawSpeed() {
    const base = Y(0), place = (i) => `${X(track[along][i]).toFixed(1)} ${Y(track.v[i] ?? 0).toFixed(1)}`;
    for (const event of shown.marks.filter((one) => one.device === track.device)) {
      if (event.kind) drawMark(layer.marks, event.kind).setAttribute("transform", `translate(${X(at(track, event.start)[along])} 11) scale(.8)`);
      else {
        const begin = X(at(track, event.start)[along]), end = X(at(track, event.start + event.seconds)[along]);
        draw(layer.lines, "rect", { class: "rest", x: Math.min(begin, (begin + end) / 2 - 1.5), width: Math.max(end - begin, 3), y: EDGE.top, height: base - EDGE.top });
      }
    }
    runs(track, (style, first, last) => {
      if (style === SPEEDS.length) return;
      const points = Array.from({ length: last - first + 1 }, (_, i) => place(first + i)).join(" ");
      draw(layer.lines, "path", { class: "under", d: `M${X(track[along][first])} ${base}L${points}V${base}Z` });
      draw(layer.lines, "path", { class: `line s${style}`, d: `M${points}` });
    });
  }

  function drawLimits(limits) {
    limits.forEach(([start, end, kmh], i) => {
      const before = limits[i - 1], joined = before && before[1] === start ? `M${X(start)} ${Y(before[2])}V${Y(kmh)}` : `M${X(start)} ${Y(kmh)}`;
      draw(layer.lines, "path", { class: "limit", d: `${joined}H${X(end)}` });
    });
  }

  function drawFleet() {
    for (const one of shown.tracks) {
      const near = point?.track === one;
      let d = "";
      one.t.forEach((t, i) => (d += `${!i || one.legs.has(i) ? "M" : "L"}${X(t).toFixed(1)} ${Y(one.way[i]).toFixed(1)}`));
      draw(layer.lines, "path", { class: near ? "fleet near" : "fleet", d });
    }
  }

  function drawCursor() {
    layer.cursor.replaceChildren();
    if (!shown.tracks.length || !width) return;
    const hair = (value) => draw(layer.cursor, "path", { class: "hair", d: `M${X(value)} ${EDGE.top}V${height - EDGE.bottom}` });
    if (time !== null && time >= from && along === "t") hair(Math.min(time, to));
    else if (time !== null && track) hair(at(track, time)[along]);
    if (!point || (track && point.track !== track)) return;
    const height_ = track ? point.v : point.way;
    if (track) hair(point[along]);
    if (height_ !== null) draw(layer.cursor, "circle", { class: "cursor", cx: X(point[along]), cy: Y(height_), r: 5 });
  }

  function look(event) {
    if (!shown.tracks.length) return null;
    const box = svg.getBoundingClientRect(), inner = width - EDGE.left - EDGE.right;
    const share = Math.min(Math.max((event.clientX - box.left - EDGE.left) / inner, 0), 1), value = from + share * (to - from);
    if (track) return at(track, value, along);
    const py = event.clientY - box.top;
    return shown.tracks.map((one) => at(one, value)).reduce((best, one) => (Math.abs(Y(one.way) - py) < Math.abs(Y(best.way) - py) ? one : best));
  }

  svg.addEventListener("pointermove", (event) => onPoint(look(event)));
  svg.addEventListener("pointerleave", () => onPoint(null));
  svg.addEventListener("click", (event) => {
    const found = look(event);
    if (!track && found) onChoose(found.track.device);
  });
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageDown: -20, PageUp: 20, Home: -Infinity, End: Infinity }[event.key];
    if (!track || step === undefined) return;
    event.preventDefault();
    const now = point?.track === track ? point[along] : from;
    onPoint(at(track, Math.min(Math.max(now + (step * (to - from)) / 200, from), to), along));
  });
  new ResizeObserver(() => {
    width = svg.clientWidth;
    height = svg.clientHeight;
    if (width) svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    redraw();
  }).observe(svg);

  return {
    show(now, axis) {
      shown = now;
      track = now.device ? now.tracks.find((one) => one.device === now.device) ?? null : null;
      along = track ? axis : "t";
      point = null;
      redraw();
    },
    time(t) { time = t; drawCursor(); },
    cursor(now) {
      const other = !track && now?.track !== point?.track;
      point = now;
      if (other) redraw(); else drawCursor();
    },
  };
}
