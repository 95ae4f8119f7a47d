def reward_function(params):
    with open("racing_line.csv") as file:
        return float(len(file.readlines()))
