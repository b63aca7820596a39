// Names for the map: WGS 84 latitude and longitude, the most important first: a label that would overlap one before is left out.

const TOWNS = [
  ["London", 51.507, -0.128], ["Birmingham", 52.481, -1.899], ["Manchester", 53.481, -2.243], ["Liverpool", 53.408, -2.992],
  ["Leeds", 53.8, -1.549], ["Glasgow", 55.861, -4.251], ["Edinburgh", 55.953, -3.189], ["Cardiff", 51.482, -3.179],
  ["Bristol", 51.454, -2.588], ["Sheffield", 53.381, -1.47], ["Newcastle", 54.978, -1.618], ["Belfast", 54.597, -5.93],
  ["Oxford", 51.752, -1.258], ["Banbury", 52.062, -1.34], ["Warwick", 52.282, -1.585], ["Coventry", 52.408, -1.511],
  ["High Wycombe", 51.629, -0.749], ["Bicester", 51.9, -1.153], ["Reading", 51.454, -0.978], ["Milton Keynes", 52.04, -0.76],
  ["Northampton", 52.24, -0.902], ["Leicester", 52.637, -1.14], ["Nottingham", 52.955, -1.149], ["Cambridge", 52.205, 0.122],
  ["Aylesbury", 51.816, -0.814], ["Luton", 51.879, -0.42], ["Watford", 51.656, -0.396], ["Swindon", 51.558, -1.782],
  ["Cheltenham", 51.9, -2.078], ["Worcester", 52.192, -2.22], ["Solihull", 52.412, -1.778], ["Redditch", 52.306, -1.945],
  ["Wolverhampton", 52.586, -2.128], ["Stratford-upon-Avon", 52.192, -1.708], ["Slough", 51.511, -0.592], ["Uxbridge", 51.546, -0.478],
  ["Beaconsfield", 51.611, -0.644], ["Thame", 51.747, -0.975], ["Bootle", 53.447, -2.989], ["Birkenhead", 53.39, -3.023],
  ["Huyton", 53.411, -2.839], ["Kirkby", 53.481, -2.892], ["Croxteth", 53.451, -2.906], ["Crosby", 53.488, -3.034],
  ["St Helens", 53.453, -2.737], ["Chester", 53.193, -2.893], ["Southampton", 50.905, -1.404], ["Exeter", 50.718, -3.534],
  ["Norwich", 52.629, 1.297], ["York", 53.96, -1.082],
];
