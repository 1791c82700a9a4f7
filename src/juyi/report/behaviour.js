// Draws the charts in the theme's colours, redraws them when the theme changes, and switches the maps' colours.
(function () {
  "use strict";
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const root = document.documentElement;
  const touch = window.matchMedia("(pointer: coarse)").matches;
  const config = { displayModeBar: false, responsive: true, displaylogo: false, showTips: false, doubleClick: "reset" };
  let view = "domain";

  function palette() {
    const style = getComputedStyle(root);
    return (name) => style.getPropertyValue("--" + name).trim();
  }

  // A colour is written "@name" in the data; only under the keys "color" and "colorscale", so that no class name is
  // taken for one.
  function coloured(value, colour, key) {
    if (Array.isArray(value)) return value.map((item) => coloured(item, colour, key));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([k, item]) => [k, coloured(item, colour, k)]));
    }
    const named = (key === "color" || key === "colorscale") && typeof value === "string" && value[0] === "@";
    return named ? colour(value.slice(1)) : value;
  }

  function dressed(figure, colour) {
    const { data, layout } = coloured(figure, colour, "");
    const axis = { gridcolor: colour("line"), linecolor: colour("line"), zerolinecolor: colour("line"), automargin: true };
    return [data, {
      ...layout,
      autosize: true,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: colour("soft") },
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink"), size: 13 } },
      dragmode: touch || layout.dragmode === undefined ? false : "zoom",
      xaxis: { ...axis, showgrid: false, ...layout.xaxis },
      yaxis: { ...axis, ...layout.yaxis },
    }];
  }

  function draw() {
    const colour = palette();
    for (const [id, variants] of Object.entries(charts)) {
      const [data, layout] = dressed(variants[view] || Object.values(variants)[0], colour);
      window.Plotly.react(id, data, layout, config);
    }
  }

  for (const choice of document.querySelectorAll("input[name=view]")) {
    choice.addEventListener("change", () => {
      view = choice.value;
      for (const key of document.querySelectorAll(".key")) key.hidden = !key.classList.contains(view);
      draw();
    });
  }
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  for (const [event, theme] of [["beforeprint", "print"], ["afterprint", ""]]) {
    window.addEventListener(event, () => {
      if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
      draw();
      for (const id of Object.keys(charts)) window.Plotly.Plots.resize(id);
    });
  }
  draw();
})();
