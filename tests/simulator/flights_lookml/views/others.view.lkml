view: airlines {
  dimension: carrier { primary_key: yes hidden: yes }
  dimension: name { type: string sql: ${TABLE}.name ;; description: "Name of the airline" }
}

view: airports {
  dimension: faa { type: zipcode sql: ${TABLE}.faa ;; description: "Code of the airport" }
  dimension: name { type: string sql: ${TABLE}.name ;; description: "Name of the airport" }
  dimension: altitude { type: number sql: ${TABLE}.alt ;; description: "Feet above the sea" }
  dimension: location {
    type: location
    sql_latitude: ${TABLE}.lat ;;
    sql_longitude: ${TABLE}.lon ;;
    description: "Latitude and longitude"
  }
  dimension: timezone { sql: ${TABLE}.tzone ;; description: "Name of the time zone" }
  measure: count { type: count description: "Number of airports" }
  measure: highest { type: max sql: ${altitude} ;; description: "Feet above the sea" }
}

view: planes {
  derived_table: { sql: select tailnum, manufacturer, "year", seats from planes ;; }
  dimension: tail_number { primary_key: yes hidden: yes sql: ${TABLE}.tailnum ;; }
  dimension: manufacturer { description: "Who built the plane" }
  dimension: year { type: number description: "Year in which it was built" }
  dimension: seats { type: number description: "Seats" }
}

view: weather {
  dimension: origin { type: string description: "Airport" }
  dimension_group: observed {
    type: time
    timeframes: [raw, time, hour, date, week, month, year]
    sql: ${TABLE}.time_hour ;;
    description: "Hour of the observation"
  }
  dimension: temperature { type: number sql: ${TABLE}.temp ;; description: "Degrees Fahrenheit" }
  dimension: wind_speed { type: number description: "Miles an hour" }
  dimension: is_freezing {
    type: yesno
    sql: ${temperature} < 32 ;;
    description: "Below 32 °F"
  }
  measure: count { type: count description: "Number of observations" }
  measure: average_temperature {
    type: average
    sql: ${temperature} ;;
    description: "Degrees Fahrenheit"
  }
}

view: numbers {
  dimension: id { type: number description: "Place in the table" }
  dimension: integer { type: number sql: ${TABLE}."integer" ;; description: "More than 53 bits" }
  dimension: decimal { type: number sql: ${TABLE}."decimal" ;; description: "30 digits" }
  dimension: text { description: "Not only ASCII" }
  measure: count { type: count description: "Number of rows" }
  measure: sum { type: sum sql: ${integer} ;; description: "More than 53 bits" }
}
